package heapwright_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"unsafe"
)

// Without a callback findings go to slog's default logger, with functions and
// lines instead of addresses.
func TestFindingsAreLogged(t *testing.T) {
	skipDamage(t)
	var out bytes.Buffer
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, nil)))

	p := newPool(t, both)
	x, _ := p.Alloc(96)
	y, _ := p.Alloc(96)
	b := unsafe.Slice((*byte)(x), 96+64)
	copy(b[96:], strings.Repeat("A", 64))
	p.Free(y)
	p.Free(y)
	for _, want := range []string{
		"level=ERROR", "kind=header-damaged", "kind=double-free", "0x41", "restored",
		"stack.0=", "first_free.0=", "culprit_stack.0=", "TestFindingsAreLogged (", "log_test.go:",
		`"field size"="header 17516729360 backup 160"`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, out.String())
		}
	}
}
