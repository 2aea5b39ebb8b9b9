/**
 * `npm run bench [-- --json] [--only WORD] [--minute] [--profile DIRECTORY]`: one table, each figure beside its reference
 * from the same run. Medians over rounds; rounds of a row and its reference take turns, so a noisy machine hits both
 * alike. `--minute` watches the idle daemon for that long, instead of ten seconds. `--profile` leaves there where the
 * daemons of `mesh` spent their time. `--play` is for the processes that the bench starts itself.
 */
import { parseArgs } from 'node:util';
import { agedRows } from './aged.ts';
import { commandRows } from './commands.ts';
import { engineRows } from './engine.ts';
import { groupRows } from './groups.ts';
import { meshRows } from './mesh.ts';
import { pairingRows } from './pairing.ts';
import { peerRows } from './peers.ts';
import { play } from './player.ts';
import { rawMqtt } from './raw-mqtt.ts';
import { print, type Row } from './rows.ts';
import { socketCaller } from './socket-caller.ts';
import { station } from './station.ts';
import { storeRows } from './store.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    minute: { type: 'boolean', default: false },
    play: { type: 'string' },
    profile: { type: 'string' },
  },
});

const parts = { station, 'raw-mqtt': rawMqtt, 'socket-caller': socketCaller };
if (values.play !== undefined) play(parts[values.play as keyof typeof parts]);
else await measure();

async function measure(): Promise<void> {
  const groups = {
    engine: engineRows,
    mesh: () => meshRows(values.profile),
    aged: agedRows,
    peers: peerRows,
    groups: groupRows,
    store: storeRows,
    pairing: pairingRows,
    commands: () => commandRows({ idleSeconds: values.minute ? 60 : 10 }),
  };
  const rows: Row[] = [];
  for (const [name, rowsOf] of Object.entries(groups)) {
    if (values.only !== undefined && !name.includes(values.only)) continue;
    rows.push(...(await rowsOf()));
  }
  print(rows, values.json);
}
