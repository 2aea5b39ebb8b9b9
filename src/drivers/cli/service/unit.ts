/** The systemd user unit that looks after the daemon. */
import { MeshError } from '../../../entities/errors.ts';

export interface UnitParts {
  readonly node: string;
  readonly script: string;
  readonly home: string;
  /** Beside the home, what has to be writable: the directory of a socket that does not fit into it. */
  readonly writable: readonly string[];
  readonly embeddedBroker: string | true | undefined;
  readonly unlock: UnitUnlock;
}

export type UnitUnlock =
  | { readonly by: 'key-file' | 'passphrase-file'; readonly path: string }
  /** systemd reads the file and hands the service a copy that only it can see. */
  | { readonly by: 'credential'; readonly path: string };

/**
 * What neither time nor another try mends: wrong usage (2), a store that does not open (3), a device that was
 * revoked (7). Everything else is tried again.
 */
const NOT_AGAIN = '2 3 7';

export function unitText({ node, script, home, writable, embeddedBroker, unlock }: UnitParts): string {
  const embedded =
    embeddedBroker === undefined
      ? []
      : ['--embedded-broker', ...(embeddedBroker === true ? [] : [embeddedBroker])];
  // Before the optional value of the broker's option, which would otherwise swallow what follows.
  const command = [node, script, '--home', home, 'up', ...embedded];
  return `# Made by "mesh service install"; "mesh service uninstall" takes it away again.
[Unit]
Description=trusted-mesh: the daemon of the device in ${home.replaceAll('%', '%%')}
Documentation=man:mesh(1)

[Service]
Type=notify
# "systemd-notify" tells, a child of the daemon.
NotifyAccess=all
ExecStart=${command.map(argument).join(' ')}
${unlockLine(unlock)}
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=${NOT_AGAIN}
TimeoutStartSec=90
TimeoutStopSec=15
WatchdogSec=60
UMask=0077
LimitCORE=0
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=${[home, ...writable].map(quoted).join(' ')}
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native

[Install]
WantedBy=default.target
`;
}

function unlockLine(unlock: UnitUnlock): string {
  switch (unlock.by) {
    case 'key-file':
      return `Environment=${quoted(`MESH_KEY_FILE=${unlock.path}`)}`;
    case 'passphrase-file':
      return `Environment=${quoted(`MESH_PASSPHRASE_FILE=${unlock.path}`)}`;
    case 'credential':
      return `LoadCredential=${quoted(`mesh-key:${unlock.path}`)}`;
  }
}

/** systemd replaces what begins with "%" everywhere, and in a command line "$" too. Throws `service-path-unusable`. */
function quoted(text: string): string {
  if (/\p{Cc}/u.test(text)) throw new MeshError('service-path-unusable', { path: JSON.stringify(text) });
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%')}"`;
}

const argument = (text: string): string => quoted(text).replaceAll('$', '$$$$');
