package fluxd

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestEventsAreAcceptedAndNothingElseIs(t *testing.T) {
	const whole = `{"involvedObject":{"kind":"Kustomization","namespace":"flux-system","name":"apps"},` +
		`"severity":"info","reason":"Progressing","message":"x","timestamp":"2026-01-01T00:00:00Z"}`
	for _, each := range []struct {
		method, path, body string
		code               int
	}{
		{"POST", "/", whole, 202},
		{"POST", "/", "{}", 400},
		{"POST", "/", "no JSON", 400},
		{"GET", "/", "", 404},
		{"POST", "/hook", whole, 404},
	} {
		out := httptest.NewRecorder()
		acceptEvent(out, httptest.NewRequest(each.method, each.path, strings.NewReader(each.body)))
		if out.Code != each.code {
			t.Errorf("%+v: %d", each, out.Code)
		}
	}
}
