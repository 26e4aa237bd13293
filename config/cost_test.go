package config

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/image/layout"
	"github.com/heapwright/heapwright/internal/node"
)

// What the help texts and the README say that a feature costs is what the node
// layouts make of it.
func TestCosts(t *testing.T) {
	pool := func(leak, backup bool, lrs int) int {
		return int(node.NewLayout(leak, lrs, backup, 1).Head)
	}
	device := func(wide, leak, backup bool, lrs int) int {
		l := layout.LiteOS{Bits64: wide, LeakCheck: leak, HeadBackup: backup}
		if leak {
			l.LRs = lrs
		}
		return l.Offsets().Head
	}
	tree := Menu()
	says := func(symbol, format string, args ...any) {
		t.Helper()
		help := strings.Join(strings.Fields(tree.Lookup(symbol).Help()), " ")
		if want := fmt.Sprintf(format, args...); !strings.Contains(help, want) {
			t.Errorf("the help of %s does not say %q:\n%s", symbol, want, help)
		}
	}
	leak := func(wide, backup bool) int { return device(wide, true, backup, 3) - device(wide, false, backup, 3) }
	says("LOSCFG_MEM_LEAKCHECK", "%d bytes with 32 bits and %d with 64", leak(false, false), leak(true, false))
	says("LOSCFG_MEM_LEAKCHECK", "%d bytes with 3 levels", pool(true, false, 3)-pool(false, false, 3))
	says("LOSCFG_MEM_LEAKCHECK", "With the header backup %d and %d, and %d", leak(false, true), leak(true, true), pool(true, true, 3)-pool(false, true, 3))
	backup := func(wide, leak bool) int { return device(wide, leak, true, 3) - device(wide, leak, false, 3) }
	says("LOSCFG_MEM_HEAD_BACKUP", "%d bytes a node on a 32-bit device, %d on a 64-bit one, in a heapwright pool %d", backup(false, false), backup(true, false), pool(false, true, 3)-pool(false, false, 3))
	says("LOSCFG_MEM_HEAD_BACKUP", "with 3 levels of call stacks %d, %d and %d", backup(false, true), backup(true, true), pool(true, true, 3)-pool(true, false, 3))
	record := func(wide, backup bool) (most int) {
		for _, leak := range []bool{false, true} {
			off := layout.LiteOS{Bits64: wide, HeadBackup: backup, LeakCheck: leak, LRs: 3}
			on := off
			on.RecordInfo = true
			most = max(most, on.Offsets().Head-off.Offsets().Head)
		}
		return most
	}
	says("LOSCFG_MEM_RECORDINFO", "Cost: %d bytes a node, %d with the header backup, on a 64-bit device up to %d and %d",
		record(false, false), record(false, true), record(true, false), record(true, true))

	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		name         string
		leak, backup bool
	}{{"off", false, false}, {"leak check", true, false}, {"header backup", false, true}, {"both", true, true}} {
		row := fmt.Sprintf("| %s | %d | %d | %d |", r.name, pool(r.leak, r.backup, 3), device(true, r.leak, r.backup, 3), device(false, r.leak, r.backup, 3))
		if !strings.Contains(string(readme), row) {
			t.Errorf("the README's table of costs has no row %q", row)
		}
	}
}
