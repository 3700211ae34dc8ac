import { Option } from 'commander'

/** The same flag in every program that asks an API server. */
export function kubeconfigOption(): Option {
  const description = 'the API server to use; default: KUBECONFIG, else that of the cluster it runs in'
  return new Option('--kubeconfig <file>', description).env('HADR_KUBECONFIG')
}

/** The file to read; undefined: none is named. KUBECONFIG counts, as it does for kubectl. */
export function kubeconfigFile(flag: string | undefined, env: NodeJS.ProcessEnv): string | undefined {
  return [flag, env['KUBECONFIG']].find(file => file !== undefined && file !== '')
}
