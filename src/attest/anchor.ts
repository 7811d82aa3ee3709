/**
 * The trust anchor: the one root that a process believes. Intel's for real platforms, or one made
 * for development. This is the only thing in which the two worlds differ; a process has one anchor,
 * and the anchor's fingerprint is part of the instance's parameters, so they never meet.
 */
import { hash } from "node:crypto";
import { equal, hex } from "../protocol/bytes.ts";
import { type Certificate, parseCertificate } from "./certificate.ts";
import { checkProfile } from "./chain.ts";
import { verifies } from "./ecdsa.ts";
import { demand } from "./reasons.ts";

/** SHA-256 of Intel's SGX Root CA in DER. */
export const INTEL_FINGERPRINT = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3";

/** A root that is believed. */
export interface TrustAnchor {
  readonly certificate: Certificate;
  /** SHA-256 of its DER, 32 bytes. */
  readonly fingerprint: Uint8Array;
  /** True of every root but Intel's: what it vouches for is not hardware. */
  readonly simulated: boolean;
}

/**
 * The anchor of a root certificate in DER. Refuses one that is not a self-signed root of this kind:
 * `anchor-malformed`, `anchor-profile`, `anchor-signature`. Its dates are judged with each quote.
 */
export async function trustAnchor(der: Uint8Array): Promise<TrustAnchor> {
  const certificate = await parseCertificate(der.slice(), "anchor");
  checkProfile(certificate, "anchor");
  const { issuer, subject, key, signature, signed } = certificate;
  demand(equal(issuer, subject), "anchor-signature", "its issuer is another");
  demand(await verifies(key, signature, signed), "anchor-signature");
  const fingerprint = new Uint8Array(hash("sha256", certificate.der, "buffer"));
  return { certificate, fingerprint, simulated: hex(fingerprint) !== INTEL_FINGERPRINT };
}

/** Intel's SGX Root CA, valid 2018 to 2049, in DER; anyone can compare its SHA-256. */
const INTEL_ROOT = [
  "MIICjzCCAjSgAwIBAgIUImUM1lqdNInzg7SVUr9QGzknBqwwCgYIKoZIzj0EAwIwaDEaMBgGA1UEAwwRSW50ZWwgU0dY",
  "IFJvb3QgQ0ExGjAYBgNVBAoMEUludGVsIENvcnBvcmF0aW9uMRQwEgYDVQQHDAtTYW50YSBDbGFyYTELMAkGA1UECAwC",
  "Q0ExCzAJBgNVBAYTAlVTMB4XDTE4MDUyMTEwNDUxMFoXDTQ5MTIzMTIzNTk1OVowaDEaMBgGA1UEAwwRSW50ZWwgU0dY",
  "IFJvb3QgQ0ExGjAYBgNVBAoMEUludGVsIENvcnBvcmF0aW9uMRQwEgYDVQQHDAtTYW50YSBDbGFyYTELMAkGA1UECAwC",
  "Q0ExCzAJBgNVBAYTAlVTMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEC6nEwMDIYZOj/iPWsCzaEKi71OiOSLRFhWGj",
  "bnBVJfVnkY4u3IjkDYYL0MxO4mqsyYjlBalTVYxFP2sJBK5zlKOBuzCBuDAfBgNVHSMEGDAWgBQiZQzWWp00ifODtJVS",
  "v1AbOScGrDBSBgNVHR8ESzBJMEegRaBDhkFodHRwczovL2NlcnRpZmljYXRlcy50cnVzdGVkc2VydmljZXMuaW50ZWwu",
  "Y29tL0ludGVsU0dYUm9vdENBLmRlcjAdBgNVHQ4EFgQUImUM1lqdNInzg7SVUr9QGzknBqwwDgYDVR0PAQH/BAQDAgEG",
  "MBIGA1UdEwEB/wQIMAYBAf8CAQEwCgYIKoZIzj0EAwIDSQAwRgIhAOW/5QkR+S9CiSDcNoowLuPRLsWGf/Yi7GSX94Bg",
  "wTwgAiEA4J0lrHoMs+Xo5o/sX6O9QWxHRAvZUGOdRQ7cvqRXaqI=",
].join("");

/** The anchor of real platforms. */
export function intelAnchor(): Promise<TrustAnchor> {
  return trustAnchor(Uint8Array.fromBase64(INTEL_ROOT));
}
