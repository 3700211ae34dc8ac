// A pepr module as its users write them, started as its controller starts one.
const { Capability, PeprModule, a } = require('pepr')

const { PORT, SIDECAR } = require('node:process').env
const sidecar = JSON.parse(SIDECAR)
const capability = new Capability({
  name: 'sidecar',
  description: 'Gives runner pods their sidecar',
  namespaces: [],
})
capability
  .When(a.Pod)
  .IsCreated()
  .Mutate(({ Raw }) => {
    Raw.spec.containers.push(sidecar)
  })

const settings = { uuid: 'benchmark', onError: 'ignore', alwaysIgnore: { namespaces: [] } }
const pepr = new PeprModule({ description: 'benchmark', pepr: settings }, [capability], { deferStart: true })
pepr.start(Number(PORT))
