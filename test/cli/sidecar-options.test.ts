import t from 'tap'
import { parseSidecar, type Env } from '../../cli/sidecar-options.ts'

function parse(argv: readonly string[], env: Env = {}) {
  let printed = ''
  const parsed = parseSidecar(argv, env, '1.2.3', text => (printed += text))
  if (!parsed.run) return { printed, settings: undefined, problems: [] }
  return { printed, ...parsed }
}

t.test('without arguments everything has its default', t => {
  const { settings, problems } = parse([])
  t.same(problems, [])
  t.same(settings, {
    gitlabUrl: undefined,
    groupId: undefined,
    runnerIds: [],
    token: undefined,
    tokenFile: undefined,
    caFile: undefined,
    runnersPerList: 100,
    statusCheckSeconds: 60,
    listen: { port: 8080 },
    runnerMetricsUrl: 'http://127.0.0.1:9252/metrics',
    logLevel: 'info',
    timeScale: 1,
  })
  t.end()
})

t.test('the flags of the original are understood', t => {
  const argv = ['-i', '33', '-u', 'http://172.28.192.1:80', '-t', 'dasdasdasd', '-r', '20', '-s', '30']
  const { settings, problems, ...more } = parse(argv)
  t.same(problems, [])
  t.match(settings, {
    groupId: '33',
    gitlabUrl: 'http://172.28.192.1:80',
    token: 'dasdasdasd',
    runnersPerList: 20,
    statusCheckSeconds: 30,
  })
  t.match(more, { tokenFromArgument: true })
  t.end()
})

t.test('every flag has a variable, an argument wins over it, and an empty variable is none', t => {
  const env = {
    HADR_GITLAB_URL: 'https://gitlab.example.com/api/v4',
    HADR_GITLAB_GROUP_ID: 'top/runners',
    HADR_RUNNER_ID: '7, 8',
    HADR_GITLAB_TOKEN: 'glpat-1',
    HADR_GITLAB_TOKEN_FILE: '/run/token',
    HADR_GITLAB_CA_FILE: '/run/ca',
    HADR_RUNNERS_PER_LIST: '50',
    HADR_STATUS_CHECK_INTERVAL: '90',
    HADR_LISTEN: '[::1]:9254',
    HADR_RUNNER_METRICS_URL: 'http://127.0.0.1:1/m',
    HADR_LOG_LEVEL: 'debug',
    HADR_TIME_SCALE: '0.01',
  }
  const { settings, problems } = parse([], env)
  t.same(problems, [])
  t.same(settings, {
    gitlabUrl: 'https://gitlab.example.com/api/v4',
    groupId: 'top/runners',
    runnerIds: [7, 8],
    token: 'glpat-1',
    tokenFile: '/run/token',
    caFile: '/run/ca',
    runnersPerList: 50,
    statusCheckSeconds: 90,
    listen: { host: '::1', port: 9254 },
    runnerMetricsUrl: 'http://127.0.0.1:1/m',
    logLevel: 'debug',
    timeScale: 0.01,
  })
  const { printed } = parse(['--help'])
  for (const name of Object.keys(env)) t.match(printed, name, 'help names it')
  t.equal(parse(['--log-level', 'warn'], env).settings?.logLevel, 'warn')
  t.equal(parse([], { HADR_LOG_LEVEL: '' }).settings?.logLevel, 'info')
  t.equal(parse([], env).settings?.listen.port, 9254)
  t.end()
})

t.test('the old variable of the port still works, below the new one', t => {
  t.same(parse([], { METRICS_SIDECAR_PORT: '9999' }).settings?.listen, { port: 9999 })
  t.same(parse([], { METRICS_SIDECAR_PORT: '9999', HADR_LISTEN: ':1' }).settings?.listen, { port: 1 })
  t.end()
})

t.test('runner ids may be repeated, listed, and doubled', t => {
  t.same(parse(['--runner-id', '7,8', '--runner-id=9', '--runner-id', '7']).settings?.runnerIds, [7, 8, 9])
  t.end()
})

t.test('every wrong value is named with its rule, and its default is used', t => {
  const { settings, problems } = parse(
    ['-r', '101', '-s', 'often', '--listen', 'here', '--log-level', 'loud', '--time-scale', '-1', '--runner-id', '0'],
    { HADR_GITLAB_GROUP_ID: 'a b' },
  )
  t.match(settings, {
    runnersPerList: 100,
    statusCheckSeconds: 60,
    listen: { port: 8080 },
    logLevel: 'info',
    timeScale: 1,
  })
  t.match(settings, { groupId: undefined, runnerIds: [] })
  t.same(problems, [
    `HADR_GITLAB_GROUP_ID "a b": must be a group's number or full path; it is ignored`,
    '--runner-id "0": must be numbers, separated by commas; it is ignored',
    '--runners-per-list "101": must be a whole number from 1 to 100; 100 is used',
    '--status-check-interval "often": must be a number from 1 to 3600; 60 is used',
    '--listen "here": must be a port, :port or host:port; :8080 is used',
    '--log-level "loud": must be one of debug, info, warn, error, silent; info is used',
    '--time-scale "-1": must be a number from 0.001 to 1000; 1 is used',
  ])
  t.end()
})

t.test('unknown flags and missing values do not hide the rest, and show no value', t => {
  const { settings, problems } = parse(['--tokn=glpat-secret', '-i', '33', '--gitlab', 'glpat-other', '-u'])
  t.equal(settings?.groupId, '33')
  t.same(problems, ['-u: a value is missing; it is ignored', '--tokn, --gitlab: no such flag; ignored'])
  t.same(parse(['glpat-secret']).problems, ['1 arguments belong to no flag; ignored'])
  t.end()
})

t.test('URLs that hold a password or are none are not shown', t => {
  for (const url of ['https://me:pass@gitlab', 'pass:pass', 'ftp://pass']) {
    const { settings, problems } = parse(['-u', url, '--runner-metrics-url', url])
    t.equal(settings?.gitlabUrl, undefined)
    t.equal(settings?.runnerMetricsUrl, 'http://127.0.0.1:9252/metrics')
    t.equal(problems.length, 2)
    t.notMatch(problems.join(), 'pass@')
    t.notMatch(problems.join(), 'pass:')
  }
  t.end()
})

t.test('help and version are printed and start nothing', t => {
  t.match(parse(['-h']), { settings: undefined, printed: /--gitlab-token-file/ })
  t.match(parse(['--version']), { settings: undefined, printed: /^1\.2\.3\n$/ })
  t.end()
})
