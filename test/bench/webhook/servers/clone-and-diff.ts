import fastify from 'fastify'
import jsonPatch from 'fast-json-patch'
import { readFileSync } from 'node:fs'

/** The usual way to write a mutating webhook in Node: change a copy of the pod and let a library find the difference. */
interface Review {
  request: { uid: string; object: { spec: { containers: unknown[] } } }
}

const { PORT = '', CERTIFICATE = '', KEY = '', SIDECAR = '' } = process.env
const sidecar = JSON.parse(SIDECAR) as unknown
const app = fastify({
  https: { cert: readFileSync(CERTIFICATE), key: readFileSync(KEY) },
  bodyLimit: 7 * 1024 * 1024,
})

app.post<{ Body: Review }>('/mutate', request => {
  const { uid, object } = request.body.request
  const changed = structuredClone(object)
  changed.spec.containers.push(sidecar)
  const patch = jsonPatch.compare(object, changed)
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: {
      uid,
      allowed: true,
      patchType: 'JSONPatch',
      patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
    },
  }
})
app.listen({ port: Number(PORT), host: '127.0.0.1' }, error => {
  if (error) throw error
})
