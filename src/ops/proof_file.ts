/** Files of a server's data folder beside its state: proofs that a server convicted itself. */

/** Writes a proof into the folder and answers its path; an existing one of that name stays. */
export function keepProof(folder: string, name: string, proof: Uint8Array): string {
  const path = `${folder}/${name}`;
  try {
    Deno.writeFileSync(path, proof, { createNew: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  return path;
}
