/**
 * Measurements of the simulated platform: hashes of readable labels. A label stands for an image;
 * who asks for the label's measurements admits what was started under it, and nothing else.
 */
import { hash } from "node:crypto";
import type { TdReport } from "./reports.ts";

const PREFIX = "zipnet/1/simulated-measurement\0";

/** SHA-384 of a label, 48 bytes. */
export function simulatedMeasurement(label: string): Uint8Array {
  return new Uint8Array(hash("sha384", PREFIX + label, "buffer"));
}

/** What an image of this label measures; RTMR3 is the application's, and zero. */
export function simulatedMeasurements(
  label: string,
): Pick<TdReport, "mrTd" | "rtmr0" | "rtmr1" | "rtmr2" | "rtmr3"> {
  return {
    mrTd: simulatedMeasurement(`${label}/firmware`),
    rtmr0: simulatedMeasurement(`${label}/machine`),
    rtmr1: simulatedMeasurement(`${label}/kernel`),
    rtmr2: simulatedMeasurement(`${label}/command line and initrd`),
    rtmr3: new Uint8Array(48),
  };
}
