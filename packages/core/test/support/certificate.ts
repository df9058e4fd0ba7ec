/** A self-signed certificate for `localhost`, and its key: for servers of tests only. */
export const certificate: { readonly key: string; readonly cert: string } = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgrduBswgcXgUHDPVU
kbdgs0WUZnPVhoKHFCR6lw8F/7ihRANCAASkZWhbkP4RWeSCwq2ZaGWfoQR5V1PG
oJmbHWOXfWkjf/0APcYlOQPJ5aMTwmfyPnxdh9vG9TOQJgTeiMHfzY1s
-----END PRIVATE KEY-----
`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBfjCCASWgAwIBAgIUFmTyqkQBGkTcBGU+9yhShzKtDWkwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNTE4MDE0N1oYDzIxMjYxMTAx
MTgwMTQ3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASkZWhbkP4RWeSCwq2ZaGWfoQR5V1PGoJmbHWOXfWkjf/0APcYlOQPJ
5aMTwmfyPnxdh9vG9TOQJgTeiMHfzY1so1MwUTAdBgNVHQ4EFgQUfgZZ4wfQvjLh
4d2Ogj9k7Z/lLnkwHwYDVR0jBBgwFoAUfgZZ4wfQvjLh4d2Ogj9k7Z/lLnkwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiAgWF12DNkLc7I/SvV+clwe
QLanjpu8XlEGVmkwnzNCngIgf7RM+KcVFxS9I3HOSRuxpHIdNfPujJOpbaVHgl3h
9/k=
-----END CERTIFICATE-----
`,
};
