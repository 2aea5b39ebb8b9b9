/**
 * Plays systemctl for a walk-through: writes down what it is told, runs the command of a unit that is enabled now,
 * with its environment and nothing else, and ends it when it is disabled.
 */
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const { PLAYED, XDG_CONFIG_HOME, HOME } = process.env;
const words = process.argv.slice(2);
appendFileSync(PLAYED, `systemctl ${words.join(' ')}\n`);
const [, verb, now, name] = words;
const running = `${PLAYED}.pid`;

if (now === '--now' && verb === 'disable' && existsSync(running)) {
  try {
    process.kill(Number(readFileSync(running, 'utf8')), 'SIGTERM');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
  rmSync(running);
}
if (now === '--now' && verb === 'enable') {
  const unit = readFileSync(`${XDG_CONFIG_HOME}/systemd/user/${name}`, 'utf8').split('\n');
  const quoted = (key) => {
    const line = unit.find((one) => one.startsWith(`${key}=`)) ?? '';
    return [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text]) => text);
  };
  const [program, ...args] = quoted('ExecStart');
  const own = quoted('Environment').map((text) => [text.split('=', 1)[0], text.slice(text.indexOf('=') + 1)]);
  const env = { HOME, PATH: '/usr/bin:/bin', ...Object.fromEntries(own) };
  const log = openSync(`${PLAYED}.log`, 'a');
  const child = spawn(program, args, { env, detached: true, stdio: ['ignore', log, log] });
  writeFileSync(running, String(child.pid));
  child.unref();
  // The unit is of the type that says when it is ready, and the real one waits for that.
  for (const until = Date.now() + 20_000; Date.now() < until; ) {
    if (readFileSync(`${PLAYED}.log`, 'utf8').includes('"msg":"ready"')) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
