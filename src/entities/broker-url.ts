/** Where a broker is. A login never stands in the URL: it would end up in lists of processes and in logs. */
import type { Result } from './result.ts';

export type BrokerScheme = 'mqtt' | 'mqtts' | 'ws' | 'wss';

export interface BrokerUrl {
  readonly scheme: BrokerScheme;
  readonly tls: boolean;
  readonly webSocket: boolean;
  /** A name or an address; an IPv6 address stands without brackets. */
  readonly host: string;
  readonly port: number;
  /** Empty unless over WebSockets. */
  readonly path: string;
  /** Scheme, host and port: what people and logs are shown. A path may hold a token. */
  readonly name: string;
}

export type BrokerUrlRefusal = 'broker-url-invalid' | 'broker-url-has-login';

const DEFAULT_PORTS: Readonly<Record<BrokerScheme, number>> = { mqtt: 1883, mqtts: 8883, ws: 80, wss: 443 };
const LONGEST = 512;
const FORM =
  /^(mqtts?|wss?):\/\/(\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9.])?)(?::(\d{1,5}))?(\/[!-"$-~]*)?$/i;

export function parseBrokerUrl(text: string): Result<BrokerUrl, BrokerUrlRefusal> {
  if (text.length > LONGEST) return { refused: 'broker-url-invalid' };
  if (/^[^/]*\/\/[^/]*@/.test(text)) return { refused: 'broker-url-has-login' };
  const parts = FORM.exec(text);
  if (parts === null) return { refused: 'broker-url-invalid' };
  const scheme = (parts[1] ?? '').toLowerCase() as BrokerScheme;
  const written = (parts[2] ?? '').toLowerCase();
  const port = parts[3] === undefined ? DEFAULT_PORTS[scheme] : Number(parts[3]);
  const webSocket = scheme.startsWith('ws');
  const path = parts[4] ?? '/';
  if (port < 1 || port > 65_535 || (!webSocket && path !== '/')) return { refused: 'broker-url-invalid' };
  return {
    ok: {
      scheme,
      tls: scheme.endsWith('s') && scheme !== 'ws',
      webSocket,
      host: written.startsWith('[') ? written.slice(1, -1) : written,
      port,
      path: webSocket ? path : '',
      name: `${scheme}://${written}:${port}`,
    },
  };
}
