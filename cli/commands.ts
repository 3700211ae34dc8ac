export interface CommandEntry {
  /** Also the name of the bundle next to `hadr.cjs`: `sidecar` is in `sidecar.cjs`. */
  name: string
  summary: string
  example: string
}

/** Everything `hadr` can do, in the order of its help. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'sidecar',
    summary: 'tell, as Prometheus metrics, whether the runner in this pod can take jobs',
    example: 'hadr sidecar --gitlab-url https://gitlab.example.com --runner-id 42',
  },
  {
    name: 'decider',
    summary: 'watch the clusters and move the main tag to the one that can serve it',
    example: 'hadr decider --config decider.yaml --dry-run',
  },
  {
    name: 'webhook',
    summary: 'give every runner pod of opted-in namespaces its sidecar when it is created',
    example: 'hadr webhook --config webhook.yaml',
  },
  {
    name: 'inject',
    summary: 'add the sidecar to runners in manifests, as the webhook does, or take it out again',
    example: 'hadr inject --config webhook.yaml -f runner.yaml | kubectl apply -f -',
  },
  {
    name: 'status',
    summary: 'who holds each main tag, how strong each cluster is, and what is wrong',
    example: 'hadr status --watch',
  },
  {
    name: 'switch',
    summary: 'move a main tag to a cluster and keep it there for a while',
    example: 'hadr switch --pool rnd-runner --to b --for 2h --why "upgrade of cluster a"',
  },
  {
    name: 'pause',
    summary: 'let nothing move in a pool for a while',
    example: 'hadr pause --pool rnd-runner --for 4h',
  },
  {
    name: 'resume',
    summary: 'end the pause and the pin of a pool',
    example: 'hadr resume --pool rnd-runner',
  },
  {
    name: 'doctor',
    summary: 'check every precondition, and say what mends the ones that fail',
    example: 'hadr doctor --config decider.yaml --webhook-config webhook.yaml',
  },
  {
    name: 'demo',
    summary: 'run the whole system on this machine, let a cluster die and see the tag move',
    example: 'hadr demo',
  },
]
