package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/image/layout"
)

// Which of the flags hides a heap is found out.
func TestBlame(t *testing.T) {
	ram := append(noise(0x1000), liteosPool(t, layout.LiteOS{}, 0x20001000)...)
	for _, c := range []struct{ flags, want, not string }{
		{"--base 0x3000", "\n  without --base   it may be wrong, and need not be given: without it there is a heap of liteos at 0x20001000\n", "all of these"},
		{"--layout nuttx", "\n  without --layout it may be wrong, and need not be given: without it there is a heap of liteos at 0x20001000\n", "all of these"},
		{"--pool 0x5000", "\n  without --pool   it may be wrong, and need not be given: without it there is a heap of liteos at 0x20001000\n", "all of these"},
		{"--base 0x20000000 --pool 0x5000", "\n  without --base   it may be wrong, and need not be given\n  without --pool   it may be wrong, and need not be given: without it there is a heap of liteos at 0x20001000\n", "all of these"},
		{"--base 0x3000 --layout nuttx", "\n  without all of these there is a heap of liteos at 0x20001000\n", "without it"},
	} {
		_, err := openBytes(t, ram, strings.Fields(c.flags)...)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), c.not) {
			t.Errorf("%s: %v", c.flags, err)
		}
	}
	if _, err := openBytes(t, noise(1<<16), "--base", "0x1000", "--layout", "nuttx"); err == nil || strings.Contains(err.Error(), "there is") {
		t.Errorf("noise: %v", err)
	}
}

// Of the files that a process had mapped, those of pools are told.
func TestPoolFiles(t *testing.T) {
	dir := t.TempDir()
	var mapped []heap.Mapping
	for name, content := range map[string]string{"pool": "heapwrit and more", "program": "\x7fELF....", "short": "heap", "empty": ""} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		mapped = append(mapped, heap.Mapping{File: path}, heap.Mapping{File: path, Offset: 4096})
	}
	mapped = append(mapped, heap.Mapping{File: dir}, heap.Mapping{File: filepath.Join(dir, "missing")}, heap.Mapping{File: os.DevNull})
	if got := poolFiles(mapped); len(got) != 1 || got[0] != filepath.Join(dir, "pool") {
		t.Errorf("files %q", got)
	}
}
