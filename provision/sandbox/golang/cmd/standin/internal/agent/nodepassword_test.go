package agent

import (
	"errors"
	"testing"
)

func TestAPasswordIsKnownByItsHash(t *testing.T) {
	hash, err := hashPassword("swordfish")
	if err != nil {
		t.Fatal(err)
	}
	if err := verifyPassword(hash, "swordfish"); err != nil {
		t.Error(err)
	}
	if err := verifyPassword(hash, "trout"); !errors.Is(err, errNodePassword) {
		t.Errorf("another password: %v", err)
	}
	if err := verifyPassword("$2:00:1:1:1:x", "swordfish"); err == nil {
		t.Error("an unknown form was taken")
	}
}
