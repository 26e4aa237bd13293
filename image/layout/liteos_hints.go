package layout

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/heapwright/heapwright/heap"
)

// liteHints is what is known about LiteOS pools besides the memory.
type liteHints struct {
	rules []liteRule
	// head has the configuration of the pools' heads if that is known. It helps
	// where the lists in a head are not to be seen.
	head *LiteOS
	// program is the one whose memory it is; nil: not known.
	program heap.Program
	// enough is the score from which a place is taken for a pool.
	enough int
	// evidence says where the rules are from, notes what could not be used.
	evidence, notes []string
}

// A liteRule is one thing that a configuration must have to be the one that the
// hints tell of. Memory that contradicts it is believed.
type liteRule struct {
	text string
	ok   func(*LiteOS) bool
}

// broken returns the rules that l does not keep.
func (h *liteHints) broken(l *LiteOS) (texts []string) {
	for _, r := range h.rules {
		if !r.ok(l) {
			texts = append(texts, r.text)
		}
	}
	return texts
}

// readLiteHints takes from the hints what concerns LiteOS.
func readLiteHints(h *Hints) *liteHints {
	l := &liteHints{enough: enough, program: h.Program}
	if h.PointerSize != 0 {
		text := fmt.Sprintf("the machine's pointers have %d bytes", h.PointerSize)
		l.rule(text, func(c *LiteOS) bool { return c.Offsets().Word == h.PointerSize })
	}
	l.fromConfig(h.Config)
	if h.Program != nil {
		l.fromNode(h.Program)
		l.fromHead(h.Program)
	}
	return l
}

func (h *liteHints) rule(text string, ok func(*LiteOS) bool) {
	h.rules = append(h.rules, liteRule{text, ok})
}

// fromConfig takes over the device's configuration. A symbol that is not in it is
// off; without any of LiteOS's symbols it is that of something else.
func (h *liteHints) fromConfig(config map[string]string) {
	known := false
	for name := range config {
		known = known || strings.HasPrefix(name, "LOSCFG_")
	}
	if !known {
		if len(config) > 0 {
			h.notes = append(h.notes, "the configuration has no LOSCFG_ symbols: it is not that of LiteOS")
		}
		return
	}
	if config["LOSCFG_KERNEL_MEM_BESTFIT_LITTLE"] == "y" {
		h.notes = append(h.notes, "the configuration has LOSCFG_KERNEL_MEM_BESTFIT_LITTLE=y: heaps of that allocator cannot be read")
	}
	var said []string
	rule := func(text string, ok func(*LiteOS) bool) {
		said = append(said, text)
		h.rule("the configuration has "+text, ok)
	}
	on := func(name string, get func(*LiteOS) bool) bool {
		want, text := config[name] == "y", name+" off"
		if want {
			text = name + "=y"
		}
		rule(text, func(l *LiteOS) bool { return get(l) == want })
		return want
	}
	number := func(name string, least, most int, get func(*LiteOS) int) int {
		text, ok := config[name]
		if !ok {
			return 0
		}
		v, err := strconv.ParseInt(text, 0, 32)
		if err != nil || int(v) < least || int(v) > most {
			h.notes = append(h.notes, fmt.Sprintf("the configuration's %s=%.20s is not used: it must be %d to %d", name, text, least, most))
			return 0
		}
		rule(name+"="+text, func(l *LiteOS) bool { return get(l) == int(v) })
		return int(v)
	}
	switch {
	case config["LOSCFG_AARCH64"] == "y" || config["LOSCFG_ARCH_ARM_AARCH64"] == "y":
		rule("LOSCFG_AARCH64=y", func(l *LiteOS) bool { return l.Bits64 })
	case config["LOSCFG_ARCH_ARM_AARCH32"] == "y":
		rule("LOSCFG_ARCH_ARM_AARCH32=y", func(l *LiteOS) bool { return !l.Bits64 })
	}
	if on("LOSCFG_MEM_LEAKCHECK", func(l *LiteOS) bool { return l.LeakCheck }) {
		for _, name := range []string{"LOS_RECORD_LR_CNT", "LOSCFG_MEM_RECORD_LR_CNT"} {
			number(name, 1, MaxLRs, func(l *LiteOS) int { return l.LRs })
		}
	}
	on("LOSCFG_MEM_HEAD_BACKUP", func(l *LiteOS) bool { return l.HeadBackup })
	on("LOSCFG_MEM_RECORDINFO", func(l *LiteOS) bool { return l.RecordInfo })
	head := new(LiteOS)
	if head.TaskStat = on("LOSCFG_MEM_TASK_STAT", func(l *LiteOS) bool { return l.TaskStat }); head.TaskStat {
		head.Tasks = number("LOSCFG_BASE_CORE_TSK_LIMIT", 1, MaxTasks, func(l *LiteOS) int { return l.Tasks })
	}
	head.MulPool = on("LOSCFG_MEM_MUL_POOL", func(l *LiteOS) bool { return l.MulPool })
	if head.Validate() == nil {
		h.head = head
	}
	h.evidence = append(h.evidence, "the configuration has "+strings.Join(said, ", "))
}

// fromNode takes over the structure of a node from debug information.
func (h *liteHints) fromNode(p heap.Program) {
	const name, own = "LosMemDynNode", "selfNode."
	s, ok := p.Struct(name)
	if !ok {
		const inner = "LosMemCtlNode"
		if _, ok = p.Struct(inner); ok {
			h.notes = append(h.notes, "the program has a structure "+inner+" but no "+name+": its nodes are not those of LiteOS 5.0")
		}
		return
	}
	has := func(field string) bool { _, ok := s.Field(field); return ok }
	size := func(field string) int { f, _ := s.Field(field); return int(f.Size) }
	l := LiteOS{
		Bits64:     size(own+"preNode") == 8,
		LeakCheck:  has(own + "linkReg"),
		HeadBackup: has("backupNode"),
		RecordInfo: has(own + "originSize"),
	}
	o := l.Offsets()
	if l.LeakCheck {
		l.LRs = size(own+"linkReg") / o.Word
	}
	if l.Validate() == nil {
		o = l.Offsets()
	}
	var shown, odd []string
	for _, f := range []struct {
		name   string
		offset int
	}{
		{"freeNodeInfo", o.First},
		{"preNode", o.Prev},
		{"gapSize", o.Gap},
		{"checksum", o.Sum},
		{"originSize", o.Orig},
		{"linkReg", o.LR},
		{"sizeAndFlag", o.Size},
	} {
		if f.offset < 0 {
			continue
		}
		is, ok := s.Field(own + f.name)
		switch {
		case !ok:
			odd = append(odd, f.name+" is missing")
		case is.Offset != uint64(o.Own+f.offset):
			odd = append(odd, fmt.Sprintf("%s is at %d instead of %d", f.name, is.Offset, o.Own+f.offset))
		default:
			shown = append(shown, fmt.Sprintf("%s at %d", f.name, is.Offset))
		}
	}
	if s.Size != uint64(o.Head) {
		odd = append(odd, fmt.Sprintf("it has %d bytes instead of %d", s.Size, o.Head))
	}
	if l.Validate() != nil || len(odd) > 0 {
		h.notes = append(h.notes, fmt.Sprintf("the structure %s of the program is not used, it is not that of LiteOS 5.0: %s", name, strings.Join(odd, ", ")))
		return
	}
	h.rule(fmt.Sprintf("the program's structure %s has %d bytes, of %s", name, s.Size, l), func(c *LiteOS) bool { return sameNodes(*c, l) })
	h.evidence = append(h.evidence, fmt.Sprintf("in the program's debug information the structure %s of a node has %d bytes: %s", name, s.Size, strings.Join(shown, ", ")))
}

// sameNodes reports whether the nodes of two configurations have the same
// offsets.
func sameNodes(a, b LiteOS) bool {
	return a.Bits64 == b.Bits64 && a.LRs == b.LRs && a.HeadBackup == b.HeadBackup && a.RecordInfo == b.RecordInfo
}

// fromHead takes over the structure of a pool's head from debug information.
func (h *liteHints) fromHead(p heap.Program) {
	const name = "LosMemPoolInfo"
	s, ok := p.Struct(name)
	if !ok {
		return
	}
	pool, ok1 := s.Field("pool")
	size, ok2 := s.Field("poolSize")
	stat, counts := s.Field("stat")
	next, mul := s.Field("nextPool")
	l := LiteOS{Bits64: pool.Size == 8, TaskStat: counts, MulPool: mul}
	if counts {
		l.Tasks = int(min(stat.Size, 1<<20))/8 - 2
	}
	o := l.Offsets
	if !ok1 || !ok2 || l.Validate() != nil || size.Offset != uint64(o().PoolSize) || mul && next.Offset != uint64(o().NextPool) || s.Size != uint64(o().Lists) {
		h.notes = append(h.notes, fmt.Sprintf("the structure %s of the program, of %d bytes, is not used: it is not that of LiteOS 5.0", name, s.Size))
		return
	}
	h.head = &l
	text := fmt.Sprintf("the program's structure %s has %d bytes", name, s.Size)
	h.rule(text, func(c *LiteOS) bool {
		return c.Bits64 == l.Bits64 && c.TaskStat == l.TaskStat && c.Tasks == l.Tasks && c.MulPool == l.MulPool
	})
	if counts {
		text += fmt.Sprintf(", with counts for %d tasks", l.Tasks)
	}
	h.evidence = append(h.evidence, text)
}

// poolVariables are the program's variables that hold addresses of pools.
var poolVariables = []string{"m_aucSysMem0", "m_aucSysMem1", "g_poolHead"}

// A named is a place where a pool should lie by what a variable says.
type named struct {
	addr heap.Addr
	why  string
}

// variables returns where the program's variables say that pools lie.
func (m *ram) variables(h *Hints) (places []named) {
	if h.Program == nil {
		return nil
	}
	widths := []int{4, 8}
	if h.PointerSize == 4 || h.PointerSize == 8 {
		widths = []int{h.PointerSize}
	}
	for _, name := range poolVariables {
		v, ok := h.Program.Variable(name)
		if !ok {
			continue
		}
		for _, width := range widths {
			at, ok := m.word(v.Start, width)
			if !ok || at == 0 || v.Len() != 0 && v.Len() < uint64(width) {
				continue
			}
			place := named{heap.Addr(at), fmt.Sprintf("%s, at %s, holds its address", name, v.Start)}
			if !slices.Contains(places, place) { // a short address may be read in either width
				places = append(places, place)
			}
		}
		if v.Len() == 0 || v.Len() > 8 {
			places = append(places, named{v.Start, fmt.Sprintf("it is the variable %s", name)})
		}
	}
	return places
}
