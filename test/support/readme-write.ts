/** `npm run troubleshooting`: writes docs/TROUBLESHOOTING.md. */
import { writeFileSync } from 'node:fs';
import { troubleshootingPage } from './readme-troubleshooting.ts';

writeFileSync('docs/TROUBLESHOOTING.md', troubleshootingPage());
