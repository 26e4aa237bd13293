package console

import (
	"strings"
	"testing"
)

// A listing without owners does not make the task with ID 0 the owner of all.
func TestTaskZeroOwnsNothingUnsaid(t *testing.T) {
	log := "Name TaskEntryAddr TID Status MEMUSE\nshell 0x1 0x0 Run 8\nnet 0x2 0x5 Pend 8\n\n" +
		"node          LR[0]\n0x802d79e4:  0x8011d740\n0x802d7a00:  0x8011d740\n\n"
	for s, err := range NewReader(strings.NewReader(log), "x").Snapshots() {
		if err != nil {
			t.Fatal(err)
		}
		if s.OwnerName(0) != "" || s.OwnerName(5) != "net" {
			t.Errorf("owner 0 is %q, owner 5 %q", s.OwnerName(0), s.OwnerName(5))
		}
	}
}
