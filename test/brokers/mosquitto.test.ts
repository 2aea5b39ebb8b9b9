import { mosquitto5, mosquitto311 } from './kinds/mosquitto.ts';
import { scenario } from './scenario.ts';

scenario(mosquitto5, ['mqtt', 'mqtts', 'wss']);
scenario(mosquitto311, ['mqtt', 'mqtt', 'mqtt']);
