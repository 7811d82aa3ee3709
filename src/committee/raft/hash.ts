/** SHA-256 of `raft.wasm`; `scripts/raft/build.sh` writes both. */
export const WASM_SHA256 = "7399c9f795c1d5066797ec3e205d6bf0c0411938ff764f7cbe30498de2e0dff0";
