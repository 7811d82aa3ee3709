/** Firmware as bytes: what is read of it, every way not to fit, and the two values of one file. */
import assert from "node:assert/strict";
import { concat, hex, u32, u64 } from "../../src/protocol/bytes.ts";
import { firmwareMrTd } from "../../src/attest/mrtd.ts";
import {
  FOOTER_GUID,
  MAX_FIRMWARE_BYTES,
  MAX_PAGES,
  MAX_SECTIONS,
  readTdvf,
} from "../../src/attest/tdvf.ts";
import { Random } from "../protocol/random.ts";
import {
  DESCRIPTOR_AT,
  entry,
  firmware,
  type FirmwareChanges,
  IMAGE_BYTES,
  SECTIONS,
} from "./firmware.ts";
import { refusalOf, refused } from "./refused.ts";
import { spoilt } from "./spoil.ts";

const SEED = 7_100, FLIPS = 3_000;
const IMAGE = firmware(), DESCRIPTOR_HEAD = new TextEncoder().encode("TDVF");

/** The value as the TDX module's specification tells it, from one string of all bytes. */
async function expectedMrTd(records: readonly string[]): Promise<string> {
  const message = Uint8Array.fromHex(records.join(""));
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-384", message)));
}
const added = (address: number) =>
  `4d454d2e504147452e41444400000000${hex(u64(address))}${"00".repeat(104)}`;
const measured = (address: number, offset: number) =>
  `4d522e455854454e4400000000000000${hex(u64(address))}${"00".repeat(104)}` +
  hex(IMAGE.subarray(offset, offset + 256));
/** The sixteen chunks of a page. */
const page = (address: number, offset: number) =>
  Array.from({ length: 16 }, (_, i) => measured(address + 256 * i, offset + 256 * i));
const REST = [0xffffc000, 0x809000, 0x80a000, 0x80b000].map(added);

Deno.test("MRTD, page by page: each page is added and then measured", async () => {
  const expected = await expectedMrTd([
    added(0xffffe000),
    ...page(0xffffe000, 0x2000),
    added(0xfffff000),
    ...page(0xfffff000, 0x3000),
    ...REST,
  ]);
  assert.equal(hex(firmwareMrTd(IMAGE, "page")), expected);
});

Deno.test("MRTD, in two passes: all pages of a section are added and then measured", async () => {
  const expected = await expectedMrTd([
    added(0xffffe000),
    added(0xfffff000),
    ...page(0xffffe000, 0x2000),
    ...page(0xfffff000, 0x3000),
    ...REST,
  ]);
  assert.equal(hex(firmwareMrTd(IMAGE, "pass")), expected);
});

Deno.test("MRTD is of the measured bytes and the places, and of nothing else", () => {
  const value = hex(firmwareMrTd(IMAGE, "page"));
  const changed = (at: number) => {
    const image = IMAGE.slice();
    image[at] ^= 1;
    return hex(firmwareMrTd(image, "page"));
  };
  assert.notEqual(changed(0x2000), value, "code");
  assert.equal(changed(0), value, "variables");
  const moved = SECTIONS.map((it, i) => i === 1 ? { ...it, address: it.address - 0x1000 } : it);
  assert.notEqual(hex(firmwareMrTd(firmware({ sections: moved }), "page")), value, "a place");
  const odd = concat(Uint8Array.of(0), IMAGE).subarray(1);
  assert.equal(hex(firmwareMrTd(odd, "page")), value, "at an odd address in memory");
});

Deno.test("sections are read as they were written", () => {
  const sections = readTdvf(IMAGE);
  assert.deepEqual(
    sections.map((
      { address, size, measured, addedLater },
    ) => [address, size, measured, addedLater]),
    SECTIONS.map(({ address, size, attributes }) => [
      address,
      size,
      attributes === 1,
      attributes === 2,
    ]),
  );
  assert.deepEqual(sections[0].bytes, IMAGE.subarray(0x2000));
  assert.deepEqual(sections.map(({ bytes }) => bytes.length), [0x2000, 0x1000, 0, 0]);
});

Deno.test("a firmware whose metadata does not fit is refused, and says where", async () => {
  const [code, variables] = SECTIONS;
  const sections = (change: Partial<typeof code>, ...more: (typeof code)[]) => ({
    sections: [{ ...code, ...change }, ...more],
  });
  const distance = (bytes: number) => ({ tdx: u32(bytes) });
  const zero = new Uint8Array(16);
  const cases: Record<string, [RegExp, FirmwareChanges]> = {
    "no footer": [/no table of GUIDs/, { footer: zero }],
    "a table shorter than its footer": [/a table of 17 bytes/, { tableLength: 17 }],
    "a table longer than the file": [/a table of 65535 bytes/, { tableLength: 65_535 }],
    "a table that cuts an entry": [/an entry of 22 bytes where 21/, {
      entries: (tdx) => [tdx],
      tableLength: 18 + 21,
    }],
    "a table that ends within a length": [/an entry of 0 bytes where 17/, {
      entries: (tdx) => [tdx],
      tableLength: 18 + 17,
    }],
    "an entry shorter than its head": [/an entry of 4 bytes/, {
      entries: (tdx) => [tdx, concat(Uint8Array.of(4, 0), zero)],
    }],
    "no TDX entry": [/not built for TDX/, { entries: () => [entry(zero, zero)] }],
    "an empty table": [/not built for TDX/, { entries: () => [] }],
    "two TDX entries": [/two TDX entries/, { entries: (tdx) => [tdx, tdx] }],
    "a TDX entry of 8 bytes": [/of 8 bytes of data/, { tdx: new Uint8Array(8) }],
    "a descriptor before the file": [/16385 bytes before/, distance(IMAGE_BYTES + 1)],
    "a descriptor at the end": [/15 bytes before/, distance(15)],
    "a descriptor elsewhere": [/no TDVF descriptor/, distance(IMAGE_BYTES - DESCRIPTOR_AT - 4)],
    "another signature": [/no TDVF descriptor/, { signature: "TDVE" }],
    "version 2": [/of version 2/, { version: 2 }],
    "no sections": [/0 sections/, { sections: [] }],
    "too many sections": [/65 sections/, { count: MAX_SECTIONS + 1 }],
    "a length of one section less": [/112 bytes for 4 sections/, { length: 112 }],
    "a section more than it has": [/144 bytes for 5 sections/, { count: 5 }],
    "half a page": [/section 0: not of whole pages/, sections({ size: 0x1800 })],
    "an address within a page": [/section 0: not of whole pages/, sections({ address: 0x800 })],
    "no memory": [/section 0: 0 bytes/, sections({ size: 0, raw: 0 })],
    "an address over 52 bits": [/section 0: .* at 45035/, sections({ address: 2 ** 52 - 0x1000 })],
    "much memory": [
      /65537 pages/,
      sections({ raw: 0, size: (MAX_PAGES + 1) * 4096, attributes: 0 }),
    ],
    "much memory in all": [
      /65537 pages/,
      sections({ attributes: 0 }, {
        ...variables,
        raw: 0,
        address: 0,
        size: (MAX_PAGES - 1) * 4096,
      }),
    ],
    "more bytes than memory": [/8193 bytes in a place of 8192/, sections({ raw: 0x2001 })],
    "fewer bytes than are measured": [/the file has 4096 of them/, sections({ raw: 0x1000 })],
    "an unknown attribute": [/unknown attributes 5/, sections({ attributes: 5 })],
    "the highest attribute": [/unknown attributes 80000001/, sections({ attributes: 0x80000001 })],
    "measured and added later": [/added after the start/, sections({ attributes: 3 })],
    "two at one place": [/two sections at/, sections({}, { ...code, attributes: 0 })],
    "two that overlap": [
      /two sections at address 4294963200/,
      sections({}, { ...variables, address: 0xfffff000 }),
    ],
  };
  for (const [what, [message, changes]] of Object.entries(cases)) {
    const image = firmware(changes);
    await refused("firmware-malformed", () => firmwareMrTd(image, "page"), what);
    assert.throws(() => readTdvf(image), { message }, what);
  }
  const cut = firmware(distance(32));
  cut.set(concat(DESCRIPTOR_HEAD, u32(48), u32(1), u32(1)), IMAGE_BYTES - 32);
  await refused(
    "firmware-malformed",
    () => readTdvf(cut),
    "a descriptor that ends behind the file",
  );
  const short = concat(FOOTER_GUID, new Uint8Array(32));
  await refused("firmware-malformed", () => readTdvf(short), "a footer without its length");
  const large = new Uint8Array(MAX_FIRMWARE_BYTES + 1);
  large.set(IMAGE, large.length - IMAGE.length);
  await refused("firmware-malformed", () => readTdvf(large));
});

Deno.test("a part of a firmware is refused, since what it lacks is measured too", async () => {
  const split = IMAGE.subarray(0x1000);
  await refused("firmware-range", () => readTdvf(split));
  assert.throws(() => readTdvf(split), /section 0 is at bytes 8192 to 16384, the file has 12288/);
  const [code, variables] = SECTIONS;
  for (const offset of [0x2001, 0xffffffff]) {
    const sections = [{ ...code, offset }, variables];
    await refused("firmware-range", () => readTdvf(firmware({ sections })));
  }
});

Deno.test("a firmware cut at any place is refused", async () => {
  for (let n = 1; n < IMAGE.length; n += n < 300 ? 1 : 61) {
    assert.ok(await refusalOf(() => readTdvf(IMAGE.subarray(n))), `without the first ${n}`);
    assert.ok(await refusalOf(() => readTdvf(IMAGE.subarray(0, -n))), `without the last ${n}`);
  }
});

Deno.test("fuzz: a changed byte of a firmware gives a value or a code", async () => {
  const value = hex(firmwareMrTd(IMAGE, "page")), metadata = IMAGE.slice();
  let refusals = 0;
  for (let run = 0; run < FLIPS; run++) {
    const random = new Random(SEED + run);
    // Every other change is in the descriptor or in the table.
    const [from, to] = run % 4 === 0
      ? [DESCRIPTOR_AT, DESCRIPTOR_AT + 144]
      : run % 4 === 1
      ? [IMAGE_BYTES - 150, IMAGE_BYTES - 32]
      : [0, IMAGE_BYTES];
    const { bytes, at } = spoilt(random, metadata.subarray(from, to));
    const image = concat(metadata.subarray(0, from), bytes, metadata.subarray(to));
    const what = `seed ${SEED + run}, byte ${from + at}`;
    const code = await refusalOf(() => {
      const changed = hex(firmwareMrTd(image, "page"));
      if (from + at >= 0x2000 && from + at < IMAGE_BYTES) assert.notEqual(changed, value, what);
    });
    if (code !== undefined) refusals++;
  }
  assert.ok(refusals > FLIPS / 4, `${refusals} of ${FLIPS} refused`);
});
