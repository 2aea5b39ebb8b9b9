/** What to do where no systemd looks after programs. */

/** `command` is a line for a shell. */
export function insteadOfSystemd(
  platform: NodeJS.Platform,
  environment: Readonly<Record<string, string | undefined>>,
  command: string,
): string {
  if (environment.TERMUX_VERSION !== undefined) {
    return `with the app Termux:Boot, put "termux-wake-lock; exec ${command}" into a script in ~/.termux/boot`;
  }
  if (platform === 'darwin') {
    return `make a launchd agent in ~/Library/LaunchAgents, with RunAtLoad and KeepAlive, that runs: ${command}`;
  }
  if (platform === 'win32') return `make a task that runs at log-on with: ${command}`;
  return `let your init system run, as this user: ${command}; or put it into your crontab, after "@reboot"`;
}

/** For a POSIX shell. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
