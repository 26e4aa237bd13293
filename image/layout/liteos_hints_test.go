package layout

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// program is debug information made up.
type program struct {
	structs   map[string]heap.Struct
	variables map[string]heap.Span
}

func (p program) Struct(name string) (heap.Struct, bool) { s, ok := p.structs[name]; return s, ok }
func (p program) Variable(name string) (s heap.Span, ok bool) {
	s, ok = p.variables[name]
	return s, ok
}
func (p program) Data() []heap.Section { return nil }

// described is what debug information says about a configuration.
func described(l LiteOS) program {
	o := l.Offsets()
	node := heap.Struct{Name: "LosMemDynNode", Size: uint64(o.Head)}
	if l.HeadBackup {
		node.Fields = append(node.Fields, heap.StructField{Name: "backupNode", Size: uint64(o.Ctl)})
	}
	add := func(name string, off, size int) {
		if off >= 0 {
			node.Fields = append(node.Fields, heap.StructField{Name: "selfNode." + name, Offset: uint64(o.Own + off), Size: uint64(size)})
		}
	}
	add("freeNodeInfo", o.First, 2*o.Word)
	add("magic", o.First, 4)
	add("taskId", o.Task, 2)
	add("preNode", o.Prev, o.Word)
	add("gapSize", o.Gap, 4)
	add("checksum", o.Sum, o.Word)
	add("originSize", o.Orig, 4)
	add("linkReg", o.LR, o.Word*o.LRs)
	add("sizeAndFlag", o.Size, 4)
	head := heap.Struct{Name: "LosMemPoolInfo", Size: uint64(o.Lists), Fields: []heap.StructField{
		{Name: "pool", Size: uint64(o.Word)},
		{Name: "poolSize", Offset: uint64(o.PoolSize), Size: 4},
	}}
	if l.TaskStat {
		head.Fields = append(head.Fields, heap.StructField{Name: "stat", Offset: uint64(o.Used), Size: uint64(8 + 8*(l.Tasks+1))})
	}
	if l.MulPool {
		head.Fields = append(head.Fields, heap.StructField{Name: "nextPool", Offset: uint64(o.NextPool), Size: uint64(o.Word)})
	}
	return program{structs: map[string]heap.Struct{node.Name: node, head.Name: head}}
}

// configured is the device's configuration.
func configured(l LiteOS) map[string]string {
	c := map[string]string{"LOSCFG_KERNEL_MEM_BESTFIT": "y"}
	set := func(on bool, name string) {
		if c[name] = "n"; on {
			c[name] = "y"
		}
	}
	set(l.LeakCheck, "LOSCFG_MEM_LEAKCHECK")
	set(l.HeadBackup, "LOSCFG_MEM_HEAD_BACKUP")
	set(l.RecordInfo, "LOSCFG_MEM_RECORDINFO")
	set(l.TaskStat, "LOSCFG_MEM_TASK_STAT")
	set(l.MulPool, "LOSCFG_MEM_MUL_POOL")
	set(l.Bits64, "LOSCFG_AARCH64")
	if l.TaskStat {
		c["LOSCFG_BASE_CORE_TSK_LIMIT"] = strconv.Itoa(l.Tasks)
	}
	if l.LeakCheck {
		c["LOS_RECORD_LR_CNT"] = strconv.Itoa(l.LRs)
	}
	return c
}

// TestHintsDecide: two layouts have headers of the same length, and the first
// word of every call stack looks like a size that was asked for. Whoever knows
// the configuration decides which of them it is, and what speaks for the other is
// told.
func TestHintsDecide(t *testing.T) {
	stacks := LiteOS{LeakCheck: true, LRs: 3}
	sizes := LiteOS{LeakCheck: true, LRs: 2, RecordInfo: true}
	h := &LiteOSHeap{Layout: stacks, Addr: 0x40000}
	for range 20 {
		h.Nodes = append(h.Nodes, LiteOSNode{Size: 96, Stack: heap.Stack{90, 0x20000, 0x30000}})
	}
	pool, _, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	m := Bytes{h.Addr, pool}
	if p := openAt(m, h.Addr); p.Layout != sizes {
		t.Fatalf("without hints it is %s", p.Layout)
	}
	for name, hints := range map[string]Hints{
		"structures":    {Program: described(stacks)},
		"configuration": {Config: configured(stacks)},
		"both":          {Program: described(stacks), Config: configured(stacks), PointerSize: 4},
	} {
		found, notes := pools(m, hints)
		if len(found) != 1 || found[0].Layout != stacks || len(found[0].about.Doubts) != 1 || len(notes) > 0 {
			t.Errorf("%s: %+v, %q", name, found, notes)
		}
		if doubt := found[0].about.Doubts[0]; !strings.Contains(doubt, sizes.String()+" fits better: the word behind the links is, in 20 of 20 used nodes, a size") {
			t.Errorf("%s: %s", name, doubt)
		}
		want := map[string]string{"structures": "linkReg at 12", "configuration": "LOS_RECORD_LR_CNT=3", "both": "the structure LosMemDynNode of a node has 28 bytes"}[name]
		if !strings.Contains(strings.Join(found[0].about.Evidence, "\n"), want) {
			t.Errorf("%s: the evidence lacks %q: %q", name, want, found[0].about.Evidence)
		}
	}
}

// TestHintsOfEveryLayout: what debug information and the configuration say about
// any configuration is accepted.
func TestHintsOfEveryLayout(t *testing.T) {
	for _, base := range []LiteOS{{}, {Bits64: true}, {MulPool: true, TaskStat: true, Tasks: 64}, {Bits64: true, MulPool: true, TaskStat: true, Tasks: 5}} {
		for _, l := range nodeLayouts(base) {
			h := readLiteHints(&Hints{Program: described(l), Config: configured(l), PointerSize: l.Offsets().Word})
			if len(h.notes) > 0 || len(h.broken(&l)) > 0 || *h.head != (LiteOS{Bits64: l.Bits64, TaskStat: l.TaskStat, Tasks: l.Tasks, MulPool: l.MulPool}) {
				t.Errorf("%s: notes %q, broken %q, head %v", l, h.notes, h.broken(&l), h.head)
			}
			for _, other := range nodeLayouts(base) {
				if other != l && len(h.broken(&other)) == 0 {
					t.Errorf("%s is taken for %s", other, l)
				}
			}
		}
	}
}

// TestWrongHints: the configuration of another build is given. The memory is
// believed, and what contradicts it is told.
func TestWrongHints(t *testing.T) {
	m := dump(t, "both-clean", 0x578c0)
	wrong := LiteOS{LeakCheck: true, LRs: 3, TaskStat: true, Tasks: 128, MulPool: true}
	for name, h := range map[string]Hints{
		"configuration": {Config: configured(wrong)},
		"structures":    {Program: described(wrong)},
		"pointers":      {PointerSize: 8},
		"at":            {At: 0x578c0, Config: configured(wrong)},
	} {
		found, _ := pools(m, h)
		if len(found) != 1 || found[0].Layout != both {
			t.Fatalf("%s: %+v", name, found)
		}
		doubts := strings.Join(found[0].about.Doubts, "\n")
		want := map[string]string{
			"configuration": "the configuration has LOSCFG_MEM_HEAD_BACKUP off, but the memory is not like that; what holds there counts\nthe configuration has LOSCFG_BASE_CORE_TSK_LIMIT=128,",
			"structures":    "the program's structure LosMemDynNode has 28 bytes",
			"pointers":      "the machine's pointers have 8 bytes",
			"at":            "LOSCFG_MEM_HEAD_BACKUP off",
		}[name]
		if !strings.Contains(doubts, want) {
			t.Errorf("%s: doubts %q lack %q", name, doubts, want)
		}
		if _, findings, _ := walked(found[0]); len(findings) > 0 {
			t.Errorf("%s: %v", name, findings)
		}
	}
}

// TestUselessHints: what cannot be used is said.
func TestUselessHints(t *testing.T) {
	m := dump(t, "both-clean", 0x578c0)
	odd := described(both)
	node := odd.structs["LosMemDynNode"]
	node.Fields = slices.Clone(node.Fields)
	node.Fields[len(node.Fields)-1].Offset += 4
	node.Size += 4
	odd.structs["LosMemDynNode"] = node
	for want, h := range map[string]Hints{
		"it is not that of LiteOS": {Config: map[string]string{"CONFIG_MM_BACKTRACE": "8"}},
		"LOSCFG_BASE_CORE_TSK_LIMIT=lots is not used: it must be 1 to 4096": {Config: map[string]string{"LOSCFG_MEM_TASK_STAT": "y", "LOSCFG_BASE_CORE_TSK_LIMIT": "lots"}},
		"LOSCFG_KERNEL_MEM_BESTFIT_LITTLE=y":                                {Config: map[string]string{"LOSCFG_KERNEL_MEM_BESTFIT_LITTLE": "y"}},
		"sizeAndFlag is at 72 instead of 68, it has 76 bytes instead of 72": {Program: odd},
		"has a structure LosMemCtlNode but no LosMemDynNode":                {Program: program{structs: map[string]heap.Struct{"LosMemCtlNode": {}}}},
		"the structure LosMemPoolInfo of the program, of 8 bytes, is not":   {Program: program{structs: map[string]heap.Struct{"LosMemPoolInfo": {Size: 8}}}},
	} {
		found, notes := pools(m, h)
		if len(found) != 1 || found[0].Layout != both || !strings.Contains(strings.Join(notes, "\n"), want) {
			t.Errorf("found %d, notes %q lack %q", len(found), notes, want)
		}
	}
}

// TestVariables: a pool whose address and end node are gone is found through the
// variable that holds its address; one that is itself a variable, too.
func TestVariables(t *testing.T) {
	h := four(LiteOS{LeakCheck: true, LRs: 3, HeadBackup: true}, false)
	pool, _, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	clear(pool[:4])
	clear(pool[len(pool)-60:])
	data := make([]byte, 64)
	binary.LittleEndian.PutUint32(data[8:], uint32(h.Addr))
	binary.LittleEndian.PutUint32(data[16:], 0x10)
	m := pieces{{Addr: 0x1000, Bytes: data}, {Addr: h.Addr, Bytes: pool}}
	at := func(addr heap.Addr, n uint64) heap.Span { return heap.Span{Start: addr, End: addr + heap.Addr(n)} }
	for name, span := range map[string]heap.Span{"m_aucSysMem1": at(0x1008, 4), "m_aucSysMem0": at(h.Addr, uint64(len(pool))), "g_poolHead": at(0x1008, 0)} {
		p := program{variables: map[string]heap.Span{name: span, "m_aucSysMem0 ": at(0x1010, 4)}}
		found, _ := pools(m, Hints{Program: p})
		if len(found) != 1 || found[0].Addr != h.Addr || !strings.Contains(strings.Join(found[0].about.Evidence, "\n"), name) {
			t.Errorf("%s: %+v", name, found)
		} else if all := strings.Join(found[0].about.Evidence, "\n"); strings.Count(all, "holds its address") > 1 {
			t.Errorf("%s: said twice: %s", name, all) // once for either width of a pointer
		}
	}
	wild := program{variables: map[string]heap.Span{"m_aucSysMem1": at(0x1010, 4), "m_aucSysMem0": at(0x9999999, 4), "g_poolHead": at(0x1000, 4)}}
	if found, _ := pools(m, Hints{Program: wild}); len(found) > 0 {
		t.Errorf("found %+v", found)
	}
}
