import { natsPlain, natsTls } from './kinds/nats.ts';
import { scenario } from './scenario.ts';

scenario(natsTls, ['mqtts', 'mqtts', 'wss']);
scenario(natsPlain, ['mqtt', 'mqtt', 'ws']);
