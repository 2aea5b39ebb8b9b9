/** The package has no types of its own; this is what is used of it. */
declare module 'qrcode-terminal' {
  const qrcode: {
    setErrorLevel(level: 'L' | 'M' | 'Q' | 'H'): void;
    generate(text: string, options: { readonly small: boolean }, drawn: (output: string) => void): void;
  };
  export = qrcode;
}
