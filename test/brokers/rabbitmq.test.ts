import { rabbitmq } from './kinds/rabbitmq.ts';
import { scenario } from './scenario.ts';

scenario(rabbitmq, ['mqtt', 'mqtts', 'wss']);
