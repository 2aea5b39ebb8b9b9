export declare const COUNTERS: '__counters__';
export declare const NEAR: '__near__';
