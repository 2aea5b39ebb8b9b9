/** One thing that was looked at, and what to do where it is not as it should be. */
import type { DeviceId } from '../../entities/device-id.ts';
import type { MeshError } from '../../entities/errors.ts';

export interface Check {
  readonly check: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly hint: string | null;
  readonly deviceId?: DeviceId;
}

export const fine = (check: string, detail: string): Check => ({ check, ok: true, detail, hint: null });
export const wrong = (check: string, detail: string, hint: string): Check => ({
  check,
  ok: false,
  detail,
  hint,
});
export const failure = (check: string, { message, hint }: MeshError): Check => wrong(check, message, hint);
