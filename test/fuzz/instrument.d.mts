/** The same code, counting. A module keeps its exports. */
export declare function instrument(code: string, path: string): string;
