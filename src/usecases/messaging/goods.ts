/** Payloads of lots: in memory while they are likely to be sent soon, on disk always. */
import type { Lot } from './lot.ts';
import type { Office } from './office.ts';

const BYTES_IN_MEMORY = 16 * 1024 * 1024;

export interface Goods {
  keep(lot: Lot, goods: readonly Uint8Array[]): void;
  drop(lot: Lot): void;
  /** Asks for them; when they are there, what is due is looked at again. */
  obtain(lot: Lot): void;
}

export function createGoods(office: Office, lots: ReadonlyMap<number, Lot>): Goods {
  const loading = new Set<number>();
  let bytesInMemory = 0;

  const bytesOf = (lot: Lot): number => lot.messages.reduce((sum, message) => sum + message.bytes, 0);

  function drop(lot: Lot): void {
    if (lot.goods === undefined) return;
    lot.goods = undefined;
    bytesInMemory -= bytesOf(lot);
  }

  function keep(lot: Lot, goods: readonly Uint8Array[]): void {
    lot.goods = goods;
    bytesInMemory += bytesOf(lot);
    for (const other of lots.values()) {
      if (bytesInMemory <= BYTES_IN_MEMORY) return;
      if (other !== lot) drop(other);
    }
  }

  return {
    keep,
    drop,
    obtain(lot) {
      if (loading.has(lot.number)) return;
      loading.add(lot.number);
      office.keystore.read('goods', String(lot.number)).then(
        (goods) => {
          loading.delete(lot.number);
          if (goods !== undefined && lots.has(lot.number)) keep(lot, goods);
          office.cycle.wake();
        },
        (error: unknown) => office.fatal(error),
      );
    },
  };
}
