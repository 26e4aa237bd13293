package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
)

// explained is what explain says as JSON about one address.
type explained struct {
	Addresses []struct {
		Addr, Where  string
		Node         *struct{ Addr, State string }
		Nearest      bool
		Reachability *struct{ State, Why string }
	}
}

// writeRAM writes a RAM and its symbols.
func writeRAM(tb testing.TB, ram []byte) (dump, symbols string) {
	tb.Helper()
	dir := tb.TempDir()
	dump, symbols = filepath.Join(dir, "ram.bin"), filepath.Join(dir, "fw.txt")
	for path, b := range map[string][]byte{dump: ram, symbols: []byte(ramSymbols)} {
		if err := os.WriteFile(path, b, 0o666); err != nil {
			tb.Fatal(err)
		}
	}
	return dump, symbols
}

// Every address in a pool is explained, and of each node it is told what is
// known to be true.
func TestExplainEveryAddress(t *testing.T) {
	ram, err := encodeRAM(8)
	if err != nil {
		t.Fatal(err)
	}
	dump, symbols := writeRAM(t, ram)
	counts := map[string]int{}
	for from := heap.Addr(ramPool - 8); from < ramPool+5000; {
		args := []string{"explain", dump, "--format", "json", "--symbols", symbols, "--base", "0x20000000", "--unaligned"}
		for range maxAddresses {
			args = append(args, from.String())
			from += 12
		}
		code, out, stderr := execute(t, args...)
		var doc explained
		if err := json.Unmarshal([]byte(out), &doc); err != nil || code != exitClean {
			t.Fatalf("exit code %d, %v: %s", code, err, stderr)
		}
		for _, e := range doc.Addresses {
			switch {
			case e.Node == nil || e.Nearest:
				counts["elsewhere"]++
			case e.Where == "" || e.Reachability == nil:
				t.Fatalf("%+v", e)
			case e.Node.State == "free":
				counts["free"]++
			default:
				counts[e.Reachability.State]++
			}
		}
	}
	// The lengths of the nodes, sampled every 12 bytes.
	if counts["unreferenced"] < 8*112/12-8 || counts["lost indirectly"] < 8*172/12-8 || counts["reachable"] < (8*104+6*96+272)/12-16 || counts["elsewhere"] == 0 {
		t.Error(counts)
	}
}

// A log whose listings tell sizes.
func TestExplainListed(t *testing.T) {
	l := leak.Listing{
		{Pool: "a", Nodes: []heap.Node{{Addr: 0x100, Total: 0x40}, {Addr: 0x140, State: heap.Free, Total: 0x40}, {Addr: 0x200, Total: 0x20}}},
		{Pool: "b", Nodes: []heap.Node{{Addr: 0x1000}}},
		{Pool: "empty"},
	}
	for addr, want := range map[heap.Addr]string{
		0x10:   "below all nodes",
		0x100:  "where a used node begins",
		0x13f:  "63 bytes into the used node 0x100",
		0x140:  "0 bytes behind the end of the used node 0x100",
		0x21f:  "31 bytes into the used node 0x200",
		0x1004: "4 bytes behind the start of the used node 0x1000; the listing does not tell",
	} {
		if e := explainListed(l, addr); !strings.Contains(e.Where, want) {
			t.Errorf("%s lies %s, want %s", addr, e.Where, want)
		}
	}
	if e := explainListed(nil, 1); e.Node != nil || e.Where == "" {
		t.Errorf("%+v", e)
	}
}

// Whatever lies in a dump, the verbs that look at nodes end and say something.
func FuzzDamagedRAM(f *testing.F) {
	ram, err := encodeRAM(4)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(0x1004), []byte{0xff, 0xff, 0xff, 0xff}, uint32(0x1400))
	f.Add(uint32(0x142c), []byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), uint32(0x1430))
	f.Add(uint32(0), []byte{0xdc, 0x10, 0, 0x20}, uint32(0x10dc))
	f.Add(uint32(0x10dc), make([]byte, 600), uint32(0x11dc))
	f.Fuzz(func(t *testing.T, at uint32, over []byte, addr uint32) {
		b := append([]byte(nil), ram...)
		copy(b[int(at)%len(b):], over)
		dump, symbols := writeRAM(t, b)
		where := fmt.Sprintf("0x%x", ramBase+uint64(addr)%(1<<17))
		for _, args := range [][]string{
			{"explain", dump, where, "--symbols", symbols, "--base", "0x20000000"},
			{"map", dump, "--symbols", symbols, "--base", "0x20000000"},
			{"leaks", dump, "--symbols", symbols, "--base", "0x20000000"},
		} {
			code, out, stderr := execute(t, args...)
			if code == exitInput && stderr == "" || code != exitInput && out == "" {
				t.Fatalf("%s: exit code %d, %q, %q", args[0], code, out, stderr)
			}
		}
	})
}
