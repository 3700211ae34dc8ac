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
    name: 'demo',
    summary: 'run the whole system on this machine, let a cluster die and see the tag move',
    example: 'hadr demo',
  },
]
