import t from 'tap'
import { metricsOfPrograms } from '../../docs/generate/catalogue.ts'
import { DASHBOARDS, panelQueries, readDashboard, substitute } from '../support/dashboards.ts'
import { metricsIn } from '../support/rules.ts'

for (const name of DASHBOARDS) {
  t.test(`${name}: panels have numbers of their own, say what they show, and do not overlap`, t => {
    const { panels } = readDashboard(name)
    t.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
    const cells = new Set<string>()
    for (const { type, title, description, datasource, gridPos, targets } of panels) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          t.ok(x < 24 && !cells.has(`${x} ${y}`), `${title}: ${x} ${y}`)
          cells.add(`${x} ${y}`)
        }
      }
      if (type === 'row') continue
      t.match(description, /\S.*\.$/, title)
      t.same(datasource, { type: 'prometheus', uid: '${datasource}' }, title)
      t.ok(targets !== undefined && targets.length > 0, title)
    }
    t.end()
  })

  t.test(`${name}: its variables are declared, and it asks for its data source`, t => {
    const { templating, uid } = readDashboard(name)
    t.equal(uid, `gitlab-runner-hadr-${name}`)
    const declared = templating.list.map(variable => variable.name)
    t.equal(declared[0], 'datasource')
    const used = readDashboard(name).panels.flatMap(({ targets = [] }) =>
      targets.flatMap(({ expr }) => [...expr.matchAll(/\$(?!__)(\w+)/g)].map(([, variable = '']) => variable)),
    )
    t.same([...new Set(used)].sort(), declared.slice(1).sort())
    t.end()
  })
}

t.test('every query is about metrics that the programs expose', t => {
  const known = new Set([
    ...metricsOfPrograms().flatMap(({ metrics }) =>
      metrics.map(({ name, type }) => (type === 'histogram' ? `${name}_bucket` : name)),
    ),
    ...['up', 'ALERTS'],
  ])
  for (const { where, expr } of panelQueries()) {
    const used = metricsIn(substitute(expr))
    t.ok(used.length > 0, where)
    for (const metric of used) t.ok(known.has(metric), `${where}: ${metric}`)
  }
  t.end()
})
