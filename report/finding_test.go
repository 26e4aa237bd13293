package report

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/heapwright/heapwright/heap"
)

// overflow is a finding with everything a device can tell.
func overflow() heap.Finding {
	subject := &heap.Node{Addr: 0x57040, Payload: 0x57088, Size: 3000, Total: 3072, Owner: 7, Stack: heap.Stack{1, 2}}
	culprit := &heap.Node{Addr: 0x56440, Total: 3072, Owner: 9, Stack: heap.Stack{4, 2}}
	return heap.Finding{
		Kind: heap.HeaderDamaged, Op: "free", Source: "x.log:81", Task: "worker", Node: 0x57040,
		Fields: []heap.Field{
			{Name: "magic", Header: "0x41414141", Backup: "0xfffa8fbf", Differs: true},
			{Name: "previous", Header: "0x56440", Backup: "0x56440"},
			{Name: "gap size", Header: "0x41414141", Differs: true},
		},
		Span: heap.Span{Start: 0x57040, End: 0x57088}, Reach: `all bytes are 0x41 ("A")`,
		Subject: subject, Previous: culprit, Culprit: culprit, CulpritReason: "it ends where the damage begins",
		Recovered: true, Cause: "A string of at least 72 characters was written past the end of the buffer in front.",
		Unseen:  []string{"Call stacks are not covered by the checksum.", "Free nodes were not checked."},
		Partial: "the report was cut after the backup",
		Memory:  []heap.Memory{{Addr: 0x57030, Bytes: []byte(strings.Repeat("AAAA\x00\x01\xff~", 20))}},
		Owners:  map[heap.Owner]string{7: "net", 9: "log"},
		Stack:   heap.Stack{2, 1, 4},
	}
}

// doubleFree is a finding about a pointer.
func doubleFree() heap.Finding {
	return heap.Finding{Kind: heap.DoubleFree, Op: "free", Pointer: 0x57088, Expected: 0x57080, Stack: heap.Stack{1}, FirstFree: heap.Stack{3, 2}}
}

func TestFindingsText(t *testing.T) {
	findings := []heap.Finding{overflow(), doubleFree()}
	for name, o := range map[string]Options{
		"findings.txt":         {Width: 80},
		"findings-verbose.txt": {Width: 80, Verbose: true},
		"findings-color.txt":   {Width: 80, Color: true},
	} {
		golden(t, name, write(t, func(w io.Writer) error {
			return Text(w, &Document{Findings: findings, Symbols: sym, Notes: []string{"a note"}}, o)
		}))
	}
	got := write(t, func(w io.Writer) error { return Text(w, &Document{}, Options{}) })
	if got != "No report of damage was recognised.\n" {
		t.Error(got)
	}
}

// What a live pool adds: how long ago, and names of owners.
func TestFindingTextAround(t *testing.T) {
	f := doubleFree()
	f.Subject = &heap.Node{Addr: 64, State: heap.Free, Owner: 3, Birth: 100, Stack: heap.Stack{1}}
	around := &heap.Snapshot{Tick: 1100, TickHz: 100, Owners: map[heap.Owner]string{3: "net"}}
	got := write(t, func(w io.Writer) error { return FindingText(w, &f, sym, around, Options{}) })
	if !strings.Contains(got, "node            0x40 free, owner net, 10s since\n  freed in        read_sample  app.c:48\n") {
		t.Error(got)
	}
}

func TestFindingsJSON(t *testing.T) {
	findings := []heap.Finding{overflow(), doubleFree(), {Kind: "evil\xff\n", Detail: "\x00"}}
	text := write(t, func(w io.Writer) error {
		return JSON(w, &Document{Findings: findings, Symbols: sym, Notes: []string{"a note"}}, Options{})
	})
	golden(t, "findings.json", text)
	var doc struct {
		Findings []struct {
			Kind    heap.Kind
			Subject *struct {
				Addr      heap.Addr
				OwnerName string `json:"owner_name"`
				Stack     []heap.Frame
			}
			Stack []heap.Frame
		}
		Notes []string
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	first := doc.Findings[0]
	if len(doc.Findings) != 3 || first.Kind != heap.HeaderDamaged || first.Subject.Addr != 0x57040 || first.Subject.OwnerName != "net" ||
		first.Subject.Stack[0].Function != "read_sample" || len(first.Stack) != 3 || doc.Notes[0] != "a note" {
		t.Errorf("%+v", doc)
	}
	if !utf8.ValidString(text) {
		t.Error("not UTF-8")
	}
}
