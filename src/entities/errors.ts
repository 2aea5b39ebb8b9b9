/**
 * Every way in which this program can say no to a person, and what it says then. A code is stable: scripts
 * depend on it. The compiler refuses a code without a row.
 *
 * Texts are one sentence each, begin in lower case and end without a full stop, because a prefix stands before
 * them. `{name}` is replaced by the error's datum of that name.
 *
 * Long, because it is one table, and one place to read all of it.
 */

/** What the process ends with; the command line's contract gives the meanings. */
export const ExitStatus = {
  done: 0,
  failed: 1,
  usage: 2,
  store: 3,
  unknownTarget: 4,
  broker: 5,
  timeout: 6,
  refused: 7,
} as const;
export type ExitStatus = (typeof ExitStatus)[keyof typeof ExitStatus];

export interface Explanation {
  readonly message: string;
  readonly hint: string;
  readonly exit: ExitStatus;
}

const store = (message: string, hint: string): Explanation => ({ message, hint, exit: ExitStatus.store });
const usage = (message: string, hint: string): Explanation => ({ message, hint, exit: ExitStatus.usage });
const failed = (message: string, hint: string): Explanation => ({ message, hint, exit: ExitStatus.failed });

const broker = (message: string, hint: string): Explanation => ({ message, hint, exit: ExitStatus.broker });

const target = (message: string, hint: string): Explanation => ({
  message,
  hint,
  exit: ExitStatus.unknownTarget,
});
const refused = (message: string, hint: string): Explanation => ({
  message,
  hint,
  exit: ExitStatus.refused,
});
const late = (message: string, hint: string): Explanation => ({ message, hint, exit: ExitStatus.timeout });

const RESTORE =
  'keep the directory as it is for a look at it; remove this device from a sibling with "mesh revoke", then set it up anew';

export const explanations = {
  bug: failed(
    'an internal error: {detail}',
    'this is a defect of the program; please report it with the log',
  ),
  usage: usage('wrong usage: {detail}', 'see "mesh --help", or "mesh COMMAND --help"'),
  'duration-invalid': usage('"{text}" is not a duration', 'write it like 500ms, 30s, 10m, 12h or 7d'),
  'name-missing': usage('a device needs a name', 'give one with --name'),
  'file-unreadable': usage('{path} cannot be read ({detail})', 'check the path and its permissions'),
  'passphrase-mismatch': usage('the two passphrases differ', 'nothing was changed; try again'),
  'payload-too-large': usage(
    'the message has more than {most} bytes',
    'send it in pieces; larger payloads are not supported yet',
  ),
  'label-unprintable': usage(
    'the type or thread has control characters in it',
    'use letters, digits and punctuation',
  ),
  'label-too-long': usage('the type or the thread is longer than {most} characters', 'choose a shorter one'),
  'message-id-invalid': usage('the message id cannot be used', 'give a text of 1 to 256 characters'),
  'setting-unknown': usage('there is no setting "{key}"', 'the settings are: {known}'),
  'setting-invalid': usage('"{key}" cannot be set to this: {detail}', 'see "mesh config --help"'),
  'no-recipient': target(
    'there is nobody to send to',
    'this device is alone, in its mesh or in that group; see "mesh group list"',
  ),
  'device-unknown': target('there is no device "{text}"', 'see "mesh devices"'),
  'device-ambiguous': target(
    '"{text}" may be any of {candidates}',
    'use the device id, or 6 or more of its first characters',
  ),
  'device-self': target('"{text}" is this device itself', 'name another one; see "mesh devices"'),
  'device-not-member': target('"{text}" is no longer a member', 'see "mesh devices"'),
  'group-unknown': target('there is no group "{text}"', 'see "mesh group list"'),
  'group-ambiguous': target(
    '"{text}" may be any of the groups {candidates}',
    'use the id of the group, or 6 or more of its first characters',
  ),
  'device-not-in-group': target('"{text}" is not in the group "{group}"', 'see "mesh group list"'),
  'group-name-taken': failed(
    'there is a group "{text}" already',
    'add devices to it with "mesh group add", or choose another name',
  ),
  'group-name-reserved': usage(
    'a group cannot be called "{text}"',
    'choose a name that is not "all", does not begin with "@", and does not look like the id of a group',
  ),
  'group-everybody': usage(
    '"all" is everybody and cannot be changed',
    'make a group of some with "mesh group create NAME DEVICE..."',
  ),
  'revoke-self': usage(
    '"{text}" is this device itself',
    'to take it out of the mesh, call "mesh leave" here',
  ),
  'revoke-open': late(
    '{count} members have not yet confirmed it',
    'it is in force here and spreads by itself; see who with "mesh revoke DEVICE --wait"',
  ),
  'leave-unheard': late(
    'no other device has heard yet that this one leaves',
    'call again when another one is online; or give --force, and revoke this device from another one',
  ),
  'device-behind': failed(
    'this device was put back to an older state and does not yet have what it wrote since',
    'let it run until it has met another member, then call again',
  ),
  'device-void': failed(
    'the mesh does not count this device as a member: whoever added it was removed',
    'invite it again from a member, and join with "mesh join -"',
  ),
  'invite-no-address': failed(
    'this machine has no address that another one could reach the broker at',
    'connect it to a network, or name the address with "mesh up --embedded-broker HOST:PORT"',
  ),
  'device-joining': failed(
    'this device is just joining a mesh',
    'call again when it has joined, or start over with "mesh join -"',
  ),
  'device-revoked': refused(
    'this device was removed from the mesh',
    'nothing here was deleted; "mesh leave" does that, and "mesh join -" then makes a new device',
  ),
  'device-left': refused('this device has left the mesh', 'call "mesh leave --force" to delete what is here'),
  'link-invalid': usage('this is not the link of an invite', 'it begins with mesh://join#; copy all of it'),
  'link-too-long': usage(
    'the link of an invite would be longer than can be scanned',
    'use a shorter broker URL, or leave the broker login out',
  ),
  'link-cut': usage('the end of the link is missing', 'copy all of it, or scan the QR code again'),
  'link-damaged': usage('the link has a wrong or missing character', 'copy it again instead of typing it'),
  'link-newer': usage(
    'the link was made by a newer version of this program',
    'update this device, then ask for a fresh link',
  ),
  'link-malformed': usage(
    'the link is whole, but not one that this program makes',
    'ask for a fresh link; do not use links from people you do not know',
  ),
  'invite-ttl-invalid': usage('an invite cannot live as long as this', 'give a second to a day, like 10m'),
  'invite-needs-daemon': usage(
    'nobody would answer this invite: there is no daemon here',
    'start one with "mesh up", or leave --no-wait out',
  ),
  'invite-not-host': failed(
    'the broker belongs to another device, and only that one can give a new device a login',
    'call "mesh invite" on the device that runs the embedded broker',
  ),
  'no-invite': target('there is no invite in use', 'make one with "mesh invite"'),
  'newcomer-gave-up': refused(
    'the new device gave up joining',
    'nobody was added; make a new invite with "mesh invite"',
  ),
  'newcomer-refused': refused(
    'the new device does not accept what it was sent, and nobody was added',
    'see what it says; then make a new invite with "mesh invite"',
  ),
  'newcomer-removed': refused(
    'the device that asked was removed from this mesh, for ever',
    'make it a new device in another directory, then invite it again',
  ),
  'approve-open': late(
    'the code was right, but the new device has not taken its place yet',
    'it does so by itself while both are online; see "mesh devices"',
  ),
  'join-name-given': usage(
    'this device has another name already: "{name}"',
    'leave --name out; "mesh rename" changes it',
  ),
  'answer-needed': usage(
    'somebody has to agree to this, and there is no terminal to ask at',
    'look at what it does, then give --yes',
  ),
  'demo-failed': failed(
    'the demo did not come to its end ({detail})',
    'nothing of it is left; "mesh demo --json" shows each step',
  ),
  'answer-no': refused('nothing was done, because nobody said yes', 'call again, and answer with "y"'),
  'invites-paused': refused(
    'three pairings have failed within ten minutes',
    'wait ten minutes; somebody else may have seen your links',
  ),
  'invite-in-use': refused(
    'a device is using the present invite',
    'type its code with "mesh approve", or end it with "mesh invite --cancel"',
  ),
  'no-request': target('no device waits for its code to be typed', 'see "mesh requests"'),
  'code-malformed': usage('a code has eight digits', 'type it as the new device shows it; this cost nothing'),
  'code-wrong': refused(
    'this is not the code that the new device shows',
    'the invite cannot be used any more; if the typing was right, somebody stood in between; make a new one',
  ),
  'invite-expired': refused(
    'the invite has expired',
    'make a new one with "mesh invite"; if it is fresh, check the clocks of both devices',
  ),
  'invite-used': refused(
    'the invite was used already, perhaps by another device',
    'make a new one with "mesh invite"; if it was not you, somebody has seen the link, and got nothing by it',
  ),
  'invite-cancelled': refused('the invite was cancelled', 'make a new one with "mesh invite"'),
  'invite-wrong-code': refused(
    'another code was typed at the inviting device',
    'make a new invite; if the typing was right, somebody stood in between',
  ),
  'invite-declined': refused('the request was declined at the inviting device', 'nothing was changed here'),
  'invite-own': refused('this invite was made by this very device', 'use it on the device that is to join'),
  'already-in-mesh': refused(
    'this device is in another mesh already',
    'leave that one first with "mesh leave", then join with a new device',
  ),
  'join-removed': refused(
    'this device was removed from that mesh, for ever',
    'make it a new device in another directory, then join again',
  ),
  'join-cancelled': refused('joining was given up here', 'the invite cannot be used again; make a new one'),
  'pairing-version': refused(
    'the two devices have no version of pairing in common',
    'update the older one of them, then make a new invite',
  ),
  'pairing-failed': refused(
    'the two devices do not understand each other, and nobody was added',
    'make a new invite; if it happens again, update both devices',
  ),
  'inviter-silent': late(
    'the inviting device did not answer before the invite expired',
    'check that it is online at the same broker, then make a new invite',
  ),
  'join-no-broker': broker(
    'the broker of the invite cannot be reached from here',
    'check the network and the address; the same link works until it expires',
  ),
  'join-no-login': broker(
    'the broker of the invite does not let this device in',
    'give its login with --broker-user and --broker-password-file, or ask for a link made with --share-broker-login',
  ),
  'invite-over': refused(
    'the broker of the invite does not know it any more',
    'it was used, cancelled, or has expired; make a new one with "mesh invite"',
  ),
  'message-unknown': target('there is no message "{id}"', 'see "mesh outbox --all"'),
  'outbox-full': failed(
    'too many messages wait to be delivered',
    'wait until recipients have come back, or cancel some; see "mesh outbox"',
  ),
  'delivery-failed': failed(
    'the message does not reach {count} of its recipients',
    'see "mesh outbox --all"',
  ),
  'delivery-open': late(
    'the message is not yet {wanted} everywhere',
    'it stays accepted and goes out by itself; see "mesh outbox"',
  ),
  'listen-timeout': late(
    'only {count} of {wanted} messages came in time',
    'call again with the same filters to go on where this one ended',
  ),
  'cursor-in-use': failed(
    'another reader uses the cursor "{cursor}"',
    'give this one a name of its own with --cursor',
  ),
  'output-closed': failed('nobody reads the output any more', 'what was not written out comes again'),
  'daemon-running': store(
    'process {pid} is the daemon of {home} already',
    'use it, or stop it first; every command finds it by itself',
  ),
  'broker-running': store(
    'process {pid} runs the broker of {home} alone, without the device',
    'stop it first; "mesh up --embedded-broker" runs both',
  ),
  'daemon-stopping': failed('the daemon is stopping', 'call again in a moment'),
  'daemon-gone': failed('the connection to the daemon was lost', 'call again; see the log of the daemon'),
  'daemon-silent': store(
    'the store in {home} is in use, and whoever has it does not answer',
    'stop that process, or wait for it to end',
  ),
  'socket-unsafe': store(
    'the socket cannot lie in {path}: {detail}',
    'make that directory yours alone, or choose a home with a shorter path',
  ),
  'rpc-parse': failed('a request is not JSON', 'send one JSON object a line'),
  'rpc-invalid': failed(
    'a request is not JSON-RPC 2.0',
    'give "jsonrpc", "id", "method" and, as an object, "params"',
  ),
  'rpc-too-large': failed('a request is larger than {most} bytes', 'send less at once'),
  'rpc-unknown-method': failed('there is no method "{method}"', 'see docs/API.md; is the daemon older?'),
  'rpc-params-invalid': usage('the parameter "{name}" is missing or wrong', 'see docs/API.md'),
  'rpc-too-many-clients': failed('too many programs talk to the daemon', 'end some of them'),
  'rpc-slow-client': failed('answers were not read in time', 'read answers while sending requests'),
  'engine-trap': failed(
    'the crypto engine stopped in the middle of its work',
    'nothing was lost; start again, and report it if it comes back',
  ),
  'engine-not-loadable': failed(
    'the crypto engine does not load: {detail}',
    'reinstall the packages with "npm ci"',
  ),
  'pickle-damaged': store('a ratchet in the store cannot be read', RESTORE),
  'key-malformed': failed(
    'a public key is not a valid encoding',
    'the sender is broken or not what it claims to be',
  ),
  'key-low-order': failed(
    'a public key has low order and protects nothing',
    'somebody tries to force a known secret; do not repeat the exchange over this connection',
  ),
  'name-empty': usage('the name is empty', 'give a name of 1 to 64 characters'),
  'name-too-long': usage('the name is longer than 64 characters', 'choose a shorter name'),
  'name-unprintable': usage(
    'the name has characters that cannot be seen or that imitate others',
    'use letters, digits, punctuation and single plain spaces',
  ),
  'store-not-initialised': store(
    'there is no device in {home}',
    'make one with "mesh init" or "mesh join -"',
  ),
  'store-unfinished': store(
    'the making of this device was cut off before it was done',
    'call "mesh init" or "mesh join -" again, with what unlocks it: that goes on with it',
  ),
  'store-exists': store('there is a device in {home} already', 'choose another directory with --home'),
  'store-wrong-secret': store(
    'the unlock secret does not open the store in {home}',
    'check which key file or passphrase belongs to this device; nothing was changed',
  ),
  'store-no-secret': store(
    'the store in {home} is locked and no unlock secret was given',
    'pass --key-file or --passphrase-file, or run on a terminal to be asked',
  ),
  'store-secret-unreadable': store(
    'the unlock secret in {path} cannot be read: {detail}',
    'check the path and its permissions',
  ),
  'store-secret-exposed': store(
    '{path} can be read by others',
    'make it yours alone with "chmod 600", and consider the secret in it known',
  ),
  'store-permissions': store(
    '{path} is open to others (mode {mode})',
    'make it yours alone: chmod {wanted} {path}',
  ),
  'store-foreign-owner': store(
    '{path} belongs to another user',
    'run as its owner, or change the owner with chown',
  ),
  'store-symlink': store('{path} is a symbolic link', 'name the real directory; links inside it are refused'),
  'store-in-use': store('process {pid} has the store in {home} open', 'stop it, or talk to it'),
  'store-damaged': store('the store is damaged: {detail}', RESTORE),
  'store-rolled-back': store(
    'the store is older than its own record says ({detail})',
    'a backup was restored or files were removed; put back the newest copy, or remove this device and set it up anew',
  ),
  'store-unknown-version': store(
    'the store was written by a newer version (schema {version})',
    'update this program; nothing was changed',
  ),
  'store-write-failed': store(
    'the store cannot be written: {detail}',
    'check the disk; nothing that was confirmed is lost',
  ),
  'store-unreadable': store(
    'the store cannot be read just now: {detail}',
    'close other programs or allow more open files, and start again; nothing is lost',
  ),
  'store-full': store(
    'the disk with the store is full',
    'free some space and start again; nothing that was confirmed is lost',
  ),
  'slot-unknown': store('there is no unlock slot {slot}', 'see "mesh key list"'),
  'slot-too-many': store('there are {most} unlock slots already', 'remove one that is no longer needed'),
  'service-needs-key': store(
    'a service cannot be asked for a passphrase',
    'add a key file with "mesh key add key-file FILE", and give it with --key-file',
  ),
  'service-unsupported': failed('there is no systemd here to look after the daemon', 'instead: {instead}'),
  'service-path-unusable': usage(
    'the path {path} cannot stand in a systemd unit',
    'choose one without line breaks and other control characters',
  ),
  'doctor-failed': failed('{count} of the checks failed: {checks}', 'each of them says what to do'),
  'slot-last': store('the last unlock slot cannot be removed', 'add another one first'),
  'broker-url-invalid': usage(
    'this is not a broker URL',
    'write it as mqtt://HOST:PORT, mqtts://HOST:PORT, ws://HOST:PORT/PATH or wss://HOST:PORT/PATH',
  ),
  'broker-url-has-login': usage(
    'a broker URL must not carry a login',
    'leave it out of the URL; use --broker-user and --broker-password-file',
  ),
  'broker-url-missing': usage('no broker is set', 'name one with "mesh config set broker URL"'),
  'broker-login-incomplete': usage(
    'there is a broker password but no user name',
    'set the user name too, or remove the password',
  ),
  'broker-topic-prefix-invalid': usage(
    'the topic prefix cannot be used',
    'end it with a slash, and use no "+", no "#" and no "$" at its beginning',
  ),
  'broker-ca-invalid': usage('the CA file has no certificate in it', 'give a file in PEM form'),
  'broker-unreachable': broker(
    'the broker {broker} cannot be reached ({detail})',
    'check that it runs, its address, and the network; trying goes on by itself',
  ),
  'broker-silent': broker(
    'the broker {broker} does not answer',
    'check that the port belongs to an MQTT broker and that no firewall swallows the connection',
  ),
  'broker-lost': broker(
    'the connection to the broker {broker} was lost',
    'nothing is lost; connecting again goes on by itself',
  ),
  'broker-busy': broker(
    'the broker {broker} turns us away for now (reason {reason})',
    'it is starting, stopping or has too much to do; trying goes on by itself',
  ),
  'broker-refused-login': broker(
    'the broker {broker} does not accept the user name or password',
    'check the login with "mesh config get broker-user" and set the password again',
  ),
  'broker-not-authorised': broker(
    'the broker {broker} does not let this login in',
    'check user name, password and the rules of the broker; some brokers say this for a wrong password too',
  ),
  'broker-refused-client-id': broker(
    'the broker {broker} does not accept our client id',
    'allow client ids of any form in the settings of the broker',
  ),
  'broker-refused-subscription': broker(
    'the broker {broker} does not let us read our own inbox {topic}',
    'allow this login to subscribe to that topic with QoS 1',
  ),
  'broker-no-common-version': broker(
    'the broker {broker} speaks neither MQTT 5 nor MQTT 3.1.1',
    'use another broker, or update this one',
  ),
  'broker-without-qos': broker(
    'the broker {broker} does not offer QoS 1',
    'messages would get lost there; use another broker',
  ),
  'broker-protocol': broker(
    'the broker {broker} broke the rules of MQTT (reason {reason})',
    'check that the address belongs to an MQTT broker; trying goes on by itself',
  ),
  'broker-websocket-refused': broker(
    'the server {broker} does not offer MQTT over WebSockets at this path',
    'check the path in the URL; many brokers use /mqtt',
  ),
  'broker-taken-over': broker(
    'another client connects to the broker {broker} as this device',
    'the same data directory is probably in use twice, or was copied; stop one of them',
  ),
  'broker-keeps-closing': broker(
    'the broker {broker} closes the connection soon after each login',
    'another client may use the same client id, or the rules of the broker forbid what we do; look at its log',
  ),
  'broker-tls-untrusted': broker(
    'the certificate of the broker {broker} is not signed by anybody we trust',
    'give its CA file or its pin, if you know that this is your broker',
  ),
  'broker-tls-expired': broker(
    'the certificate of the broker {broker} is not valid at this time',
    'renew it; or set the clock of this device right',
  ),
  'broker-tls-wrong-name': broker(
    'the certificate of the broker {broker} is for another name',
    'use the name in the certificate, or give its pin',
  ),
  'broker-tls-failed': broker(
    'no TLS connection to the broker {broker} comes about ({detail})',
    'check that this port speaks TLS',
  ),
  'broker-pin-mismatch': broker(
    'the certificate of the broker {broker} is not the pinned one',
    'either it was replaced, then set the new pin, or somebody stands in between',
  ),
  'embedded-broker-needs-tls': usage(
    'a broker on {host} would be open to the network without TLS',
    'give it a certificate, or let it listen on 127.0.0.1',
  ),
  'embedded-broker-bad-certificate': failed(
    'the key and certificate for the embedded broker cannot be used ({detail})',
    'both have to be in PEM form and belong together',
  ),
  'embedded-broker-cannot-listen': failed(
    'the embedded broker cannot listen on {host}:{port} ({detail})',
    'choose another address or port, or stop what uses it',
  ),
} as const satisfies Record<string, Explanation>;

export type ErrorCode = keyof typeof explanations;
export type ErrorData = Readonly<Record<string, string | number>>;

/**
 * A failure: something outside the program's hands went wrong. It carries no secret; `data` is for people.
 * A refusal is not thrown, and a bug is a plain `Error`.
 */
export class MeshError extends Error {
  readonly code: ErrorCode;
  readonly data: ErrorData;

  constructor(code: ErrorCode, data: ErrorData = {}, cause?: unknown) {
    super(fill(explanations[code].message, data), cause === undefined ? undefined : { cause });
    this.name = 'MeshError';
    this.code = code;
    this.data = data;
  }

  get hint(): string {
    return fill(explanations[this.code].hint, this.data);
  }

  get exit(): ExitStatus {
    return explanations[this.code].exit;
  }
}

function fill(text: string, data: ErrorData): string {
  return text.replace(/\{(\w+)\}/g, (placeholder, name: string) => String(data[name] ?? placeholder));
}
