import { embedded } from './kinds/embedded.ts';
import { scenario } from './scenario.ts';

scenario(embedded, ['mqtt', 'mqtt', 'mqtt']);
