import { describe, expect, test } from 'vitest';
import { MemoryDisk, PowerCut } from '../../../src/adapters/memory/memory-key-value.ts';
import { utf8 } from '../../../src/entities/text.ts';
import { type KeyValueUnderTest, keyValueContract } from '../../contracts/key-value.ts';

function over(disk: MemoryDisk): KeyValueUnderTest {
  return {
    database: disk.database(),
    losePower: async () => {
      disk.cutPower();
      return over(disk);
    },
  };
}

keyValueContract('a memory disk', async () => over(new MemoryDisk()));

describe('a memory disk', () => {
  test.each(['before', 'after'] as const)('loses power just %s the write it was told', async (moment) => {
    const disk = new MemoryDisk();
    const database = disk.database();
    disk.cutPowerAt(2, moment);
    await database.write([{ name: utf8('r1'), put: utf8('x') }]);
    await expect(database.write([{ name: utf8('r2'), put: utf8('y') }])).rejects.toThrow(PowerCut);
    await expect(database.get(utf8('r1'))).rejects.toThrow(PowerCut);
    const again = disk.database();
    expect(await again.get(utf8('r1'))).toEqual(utf8('x'));
    expect(await again.get(utf8('r2'))).toEqual(moment === 'after' ? utf8('y') : undefined);
  });
});
