import axios, { isAxiosError, type AxiosInstance, type AxiosResponse } from 'axios'
import { ClientRequest } from 'node:http'
import { createAgents } from './agents.ts'
import { isStaleConnection, tooLarge, transportFailure } from './failure.ts'
import type { HttpRequest, HttpResponse, HttpTransport, TransportOptions } from './transport.ts'

/**
 * A transport over axios. `close` ends its connections. A proxy is not supported: axios opens no tunnel
 * for https targets, so the proxy would see the token.
 */
export function createAxiosTransport(options: TransportOptions = {}): HttpTransport & { close(): void } {
  const agents = createAgents(options)
  const client = axios.create({
    adapter: 'http',
    httpAgent: agents.http,
    httpsAgent: agents.https,
    proxy: false,
    maxRedirects: 0,
    maxBodyLength: Infinity,
    decompress: false,
    validateStatus: () => true,
    responseType: 'text',
    // Axios would otherwise rewrite a JSON body, and quote one that it cannot parse.
    transformRequest: [body => body as unknown],
  })

  const transport: HttpTransport = async request => {
    try {
      return await exchange(client, request)
    } catch (error) {
      if (!isStaleConnection(error, request, wasReused(error))) throw failure(error, request)
    }
    try {
      return await exchange(client, request)
    } catch (error) {
      throw failure(error, request)
    }
  }
  return Object.assign(transport, { close: () => agents.close() })
}

async function exchange(client: AxiosInstance, request: HttpRequest): Promise<HttpResponse> {
  const { method, url, body, signal, maxResponseBytes } = request
  // Without this a server may compress, and the size limit would count the wrong bytes.
  const headers = { 'accept-encoding': 'identity', ...request.headers }
  const response: AxiosResponse<unknown> = await client.request({
    method,
    url,
    headers,
    signal,
    maxContentLength: maxResponseBytes,
    ...(body === undefined ? {} : { data: body }),
  })
  return {
    status: response.status,
    headers: flatten(response.headers),
    body: typeof response.data === 'string' ? response.data : '',
  }
}

function failure(error: unknown, request: HttpRequest): Error {
  const overLimit = isAxiosError(error) && error.message.startsWith('maxContentLength')
  return transportFailure(overLimit && !request.signal.aborted ? tooLarge(request) : error, request)
}

/** Whether the failed request travelled on a connection that had served one before; false once an answer had begun. */
function wasReused(error: unknown): boolean {
  if (!isAxiosError(error) || error.response !== undefined) return false
  const request: unknown = error.request
  return request instanceof ClientRequest && request.reusedSocket
}

function flatten(headers: object): Record<string, string> {
  const flat: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === 'string') flat[name.toLowerCase()] = value
    else if (Array.isArray(value)) flat[name.toLowerCase()] = value.join(', ')
  }
  return flat
}
