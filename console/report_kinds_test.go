package console

import (
	"fmt"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

const (
	goodFront = "node:0xb5d6c checksum=0xa1524c7c[0xa1524c7c] freeNodeInfo.pstPrev=0xfff4a293 freeNodeInfo.pstNext=(nil) preNode=0xb5c00 gapSize=0x0 sizeAndFlag=0x80000c00\n"
	badNode41 = "node:0xb696c checksum=0x41414141[0x9fecffae] freeNodeInfo.pstPrev=0x41414141 freeNodeInfo.pstNext=0x41414141 preNode=0x41414141 gapSize=0x41414141 sizeAndFlag=0x41414141\n"
	goodCopy  = "node:0xb5d48 checksum=0xa1527934[0xa1527934] freeNodeInfo.pstPrev=0xfff49693 freeNodeInfo.pstNext=(nil) preNode=0xb5d48 gapSize=0x0 sizeAndFlag=0x80000c00\n"
	badCopy   = "node:0xb5d48 checksum=0x42424242[0x9ceffcad] freeNodeInfo.pstPrev=0x42424242 freeNodeInfo.pstNext=0x42424242 preNode=0x42424242 gapSize=0x42424242 sizeAndFlag=0x42424242\n"

	front = "[ERR]the detailed information of previous node:\n[ERR]************************************************\n" + goodFront +
		"[ERR]the address of node :0xb5d48\n[ERR]allocated by task: net [ID = 0x0]\n[ERR]************************************************\n\n"
	findBad = "[ERR][OsMemFindSuitableFreeBlock]: the node information of current node is bad !!\n" + badNode41
	copyIs  = "[ERR]the backup node information of current node in previous node:\n"
	panics  = "cpu0 is in exc.\nexcType:software interrupt\ntaskName = main\nexcBuffAddr pc = 0x13bd4\nexcBuffAddr lr = 0x13bd8\n*******backtrace begin*******\ntraceback 0 -- lr = 0x1975c    fp = 0x4ba64\n"
)

// show prints what a test compares of a finding.
func show(f *heap.Finding) string {
	s := fmt.Sprintf("%s %s %s", f.Kind, f.Op, f.Node)
	if f.Previous != nil {
		s += fmt.Sprintf(" behind %s %s", f.Previous.Addr, f.Previous.State)
	}
	if f.Pointer != 0 {
		s += fmt.Sprintf(" pointer %s", f.Pointer)
	}
	if f.Span.Len() > 0 && len(f.Fields) > 0 && f.Fields[0].Backup == "" {
		s += fmt.Sprintf(" %d bytes", f.Span.Len())
	}
	if f.Recovered {
		s += " recovered"
	}
	if f.Repaired {
		s += " repaired"
	}
	if len(f.Stack) > 0 {
		s += fmt.Sprintf(" at %s", f.Stack[0])
	}
	if f.Partial != "" {
		s += " partial"
	}
	if f.Cause != "" {
		s += ": " + f.Cause[:13]
	}
	return s
}

// Reports of which there is no real log: each is printed as the sources of
// LiteOS do it.
func TestReportsKinds(t *testing.T) {
	for _, c := range []struct {
		name, log string
		want      []string
		says      string // in Detail or Partial of the last one
	}{
		{"free of a damaged node", findBad + copyIs + goodCopy + front, []string{"header-damaged alloc 0xb6948 behind 0xb5d48 used recovered repaired"}, ""},
		{"no node in front found", findBad + "Huawei LiteOS # ", []string{"header-damaged alloc 0xb696c partial"}, "neither the backup nor the node in front"},
		{"the log ends behind the header", findBad, []string{"header-damaged alloc 0xb696c partial"}, "the log ends"},
		{"the device restarts", findBad + copyIs + "Hello Huawei LiteOS\n", []string{"header-damaged alloc 0xb696c partial"}, "the device restarts"},
		{
			"a bad backup is restored too", findBad + copyIs + badCopy + front,
			[]string{"both-damaged alloc 0xb6948 behind 0xb5d48 used"},
			"whose checksum is wrong",
		},
		{
			"the node behind is broken",
			findBad + copyIs + goodCopy + front + "[ERR][OsMemBackupSetup4Next]the next node is broken!!\n" +
				strings.Replace(badNode41, "0xb696c", "0xb756c", 1) + "[ERR]Current node details:\n" +
				strings.NewReplacer("previous node", "x", "0xb5d6c", "0xb696c", "0xb5d48", "0xb6948").Replace(front),
			[]string{
				"header-damaged alloc 0xb6948 behind 0xb5d48 used recovered",
				"header-damaged alloc 0xb7548 behind 0xb6948 used 12 bytes",
			},
			"nothing was put right",
		},
		{
			"two nodes on one walk, nested",
			strings.Replace(findBad, "0xb696c", "0xb756c", 1) +
				"[ERR][OsMemNodePrevGet]: the node information of current node is bad !!\n" + badNode41 + front + copyIs + goodCopy + front +
				copyIs + strings.NewReplacer("0xb5d48", "0xb6948", "0xfff49693", "0xfff48a93", "0xa1527934", "0xa1525134").Replace(goodCopy) + strings.NewReplacer("0xb5d6c", "0xb696c", "0xb5d48", "0xb6948").Replace(front),
			[]string{
				"header-damaged  0xb6948 behind 0xb5d48 used recovered repaired",
				"header-damaged alloc 0xb7548 behind 0xb6948 used recovered repaired",
			},
			"",
		},
		{
			"a damaged backup",
			"[ERR][OsMemNodePrevTryGet]: the backup node information in current node is bad !!\n" + strings.Replace(badCopy, "0xb5d48", "0xb6948", 1) + front,
			[]string{"backup-damaged free 0xb6948 behind 0xb5d48 used recovered repaired"},
			"next node's header",
		},
		{
			"the end node",
			"[ERR]the current node is THE FIRST NODE !\n[ERR][OsMemFirstNodePrevGet]: the node information of previous node is bad !!\n" + badNode41,
			[]string{"header-damaged  0xb696c"},
			"end node",
		},
		{
			"the backup of the first node",
			"[ERR]the current node is THE FIRST NODE !\n[ERR][OsMemFirstNodePrevGet]: the backup node information of current node in previous Node is bad !!\n" + badCopy,
			[]string{"backup-damaged  0xb5d48"},
			"end node",
		},
		{
			"a bad node of a list",
			goodFront + badNode41 + front + "check finish\n",
			[]string{"header-damaged check 0xb6948 behind 0xb5d48 used 12 bytes"},
			"",
		},
		{
			"a garbled line of a list",
			strings.Replace(goodFront, "freeNodeInfo.pstPrev=0xfff4a293", "freeNodeInfo.pstPrev=0xfff40000", 1) + "check finish\n", nil, "",
		},
		{
			"a garbled line of a list about a bad node",
			strings.Replace(badNode41, "pstPrev=0x41414141", "pstPr 41", 1) + "check finish\n",
			[]string{"header-damaged check 0xb696c partial"},
			"the rest of the damaged header",
		},
		{
			"a checksum over a wrong magic",
			"node:0xb5c24 checksum=0xa152477c[0xa152477c] freeNodeInfo.pstPrev=0xfff4a3db freeNodeInfo.pstNext=(nil) preNode=0xb5b00 gapSize=0x0 sizeAndFlag=0x80000148\n" +
				"node:0xb5d6c checksum=0xa152eeef[0xa152eeef] freeNodeInfo.pstPrev=0xfff4_ freeNodeInfo.pstNext=(nil)\n" +
				"node:0xb5d6c checksum=0xa1520eef[0xa1520eef] freeNodeInfo.pstPrev=0xfff4e000 freeNodeInfo.pstNext=(nil) preNode=0xb5c00 gapSize=0x0 sizeAndFlag=0x80000c00\ncheck finish\n",
			[]string{"header-damaged check 0xb5d48 4 bytes"},
			"new checksum over a damaged header",
		},
		{
			"older words",
			"[ERR]bad node's selfNode in [osMemNodePrevTryGet]\n[ERR]" + older(badNode41) + strings.ReplaceAll(older(front), "the detailed information of previous node:", "preNode's details:") +
				"[ERR]backup for this node:\n[ERR]" + older(goodCopy) + strings.ReplaceAll(older(front), "the detailed information of previous node:", "preNode's details:"),
			[]string{"header-damaged free 0xb6948 behind 0xb5d48 used recovered repaired"},
			"",
		},
		{
			"the start is lost", copyIs + goodCopy + front + "Huawei LiteOS # ",
			[]string{"header-damaged  0x0 behind 0xb5d48 used recovered repaired partial"},
			"who found it",
		},

		{
			"64-bit wild pointer",
			"[ERR]*****************************************************\n[ERR]find a control block at: 0xffffffc000057bc0, gap size: 0x0, sizeof(LosMemDynNode): 0x90\n" +
				"[ERR]the pointer should be: 0xffffffc000057c50\n[ERR]the pointer given is: 0xffffffc000057c58\n[ERR]PROBABLY A WILD POINTER\nrunTask->taskName = main\n" +
				"*******backtrace begin*******\ntraceback 0 -- lr = 0xffffffc000013c9c    fp = 0xffffffc0000a968c\n[ERR]*****************************************************\n",
			[]string{"inside-node free 0xffffffc000057bc0 pointer 0xffffffc000057c58 at 0xffffffc000013c9c"},
			"8 bytes behind",
		},
		{"half a wild pointer", "[ERR]the pointer given is: 0xb785c\n", []string{"inside-node free 0x0 pointer 0xb785c partial"}, "the node that the pointer lies in"},
		{"two wild pointers", wild(0xb785c) + wild(0xb7860), []string{
			"inside-node free 0xb7804 pointer 0xb785c at 0x13c9c", "inside-node free 0xb7804 pointer 0xb7860 at 0x13c9c",
		}, "20 bytes behind"},
		{"a gap that makes no sense", "[ERR]illegal gapSize: 0x1414141\nHuawei LiteOS # ", []string{"header-damaged free 0x0"}, "0x41414141"},
		{"a gap in realloc", "[ERR][OsGetRealPtr:1777]gapSize:0xc0000004 error\n", []string{"header-damaged realloc 0x0"}, "0xc0000004"},
		{"a cut gap", "[ERR][OsMemFree:1699]gapSize:0xfff", []string{"header-damaged free 0x0 partial"}, "more digits"},
		{"an illegal gap, then a wild pointer", "[ERR]illegal gapSize: 0x1\n" + wild(0xb785c), []string{"inside-node free 0xb7804 pointer 0xb785c at 0x13c9c"}, "0x40000001"},

		{
			"64-bit memcheck of a used node",
			"[ERR][OsMemIntegrityCheck], 1126, memory check error!\nmemory used but magic num wrong, freeNodeInfo.pstPrev(magic num):0x4242424242424242 \n\n" +
				" broken node head: 0x4242424242424242  (nil)  0xffffffc000057bc0  0x80000c00, pre node head: 0x3fffa83f7  (nil)  0xffffffc000057000  0x80000c00\n" +
				"\n---------------------------------------------\n dump mem tmpNode:0xffffffc0000587c0 ~ 0xffffffc000058800\n" +
				"\n 0xffffffc0000587c0 :4242424242424242 0000000000000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000 \n" +
				"\n---------------------------------------------\ncur node: 0xffffffc0000587c0\npre node: 0xffffffc000057bc0\npre node was allocated by task:net\n" + panics,
			[]string{"header-damaged check 0xffffffc0000587c0 behind 0xffffffc000057bc0 used 4 bytes at 0x13bd4"},
			"marked as used",
		},
		{
			"64-bit memcheck of a sound heap",
			"[ERR][OsMemIntegrityCheck], 1126, memory check error!\nmemory used but magic num wrong, freeNodeInfo.pstPrev(magic num):0x3fffa83f7 \n\n the broken node is the first node\n" +
				" broken node head: 0x3fffa83f7  (nil)  0xffffffc000f57bc0  0x80000c00, pre node head: 0x3fffa83f7  (nil)  0xffffffc000f57bc0  0x80000c00\n" +
				"cur node: 0xffffffc000057bc0\npre node: 0xffffffc000057bc0\npre node was allocated by task:net\n" + panics,
			[]string{"header-damaged check 0xffffffc000057bc0 at 0x13bd4: a false alarm"},
			"first node",
		},
		{
			"64-bit memcheck of a link, the magic being right",
			"[ERR][OsMemIntegrityCheck], 1126, memory check error!\n freeNodeInfo.pstNext:0x41 is out of legal mem range[0xffffffc000057000, 0xffffffc000f57bc0]\n\n the broken node is the first node\n" +
				" broken node head: 0x3fffa83f7  0x41  0xffffffc000f57bc0  0x80000c00, pre node head: 0x3fffa83f7  (nil)  0xffffffc000f57bc0  0x80000c00\n" +
				"cur node: 0xffffffc000057bc0\npre node: 0xffffffc000057bc0\npre node was allocated by task:net\n" + panics,
			[]string{"header-damaged check 0xffffffc000057bc0 8 bytes at 0x13bd4"},
			"first node",
		},
		{
			"details soon after a whole report", findBad + copyIs + goodCopy + front + strings.Repeat("hello\n", maxAfter) + front,
			[]string{"header-damaged alloc 0xb6948 behind 0xb5d48 used recovered repaired"},
			"",
		},
		{
			"details long after it", findBad + copyIs + goodCopy + front + strings.Repeat("hello\n", maxAfter+1) + front,
			[]string{"header-damaged alloc 0xb6948 behind 0xb5d48 used recovered repaired", "header-damaged  0x0 behind 0xb5d48 used partial"},
			"not in the log",
		},
		{
			"memcheck of the first node",
			"[ERR][OsMemIntegrityCheck], 1143, memory check error!\n freeNodeInfo.pstNext:(nil) is out of legal mem range[0x598c0, 0x1000000]\n\n the broken node is the first node\n" +
				"\n broken node head: 0x59bd0  (nil)  0xffffb8  0x48, pre node head: 0x59bd0  (nil)  0xffffb8  0x48\ncur node: 0x59bac\npre node: 0x59bac\npre node was allocated by task:net\n" + panics,
			[]string{"header-damaged check 0x59bac at 0x13bd4"},
			"first node",
		},
		{
			"memcheck, a task that is gone",
			"[ERR][OsMemIntegrityCheck], 1143, memory check error!\n freeNodeInfo.pstNext:(nil) is out of legal mem range[0x598c0, 0x1000000]\n" +
				" broken node head: 0x59bd0  (nil)  0xffffb8  0x48, pre node head: 0xfff74d13  0x9  0x8b25c  0x80000c00\nTask ID 99 in pre node is invalid!\n" + panics,
			[]string{"header-damaged check 0x0 at 0x13bd4 partial"},
			"the damaged node",
		},
		{
			"OpenHarmony",
			"[ERR][OsMemMagicCheckPrint], 1664, memory check error!\nmemory used but magic num wrong, magic num = 0x0\n\n broken node head: 0x20003af0  0x00000000  0x80000020, prev node head: 0x20002ad4  0xabcddcba  0x80000020\n" +
				" broken node head LR info:\n LR[0]:0x0800414e\n\n pre node head LR info:\n LR[0]:0x08004144\n LR[1]:0x08000cc2\n LR[2]:0x00000000\n" +
				"[ERR]Memory integrity check error, cur node: 0x20003b10, pre node: 0x20003af0\n" + panics,
			[]string{"header-damaged check 0x20003b10 behind 0x20003af0 used at 0x13bd4"},
			"its magic is 0x0",
		},

		{
			"the pool's head",
			"[ERR]DlinkHead[3]: pstPrev:0x41414141, pstNext:0x41414141\n[ERR]DlinkHead[4]: pstPrev:(nil), pstNext:0x41414141\nmem pool info: poolAddr:0x578c0, poolSize:0xfa8740\n",
			[]string{"pool-head-damaged check 0x0"},
			"2 list heads",
		},
		{"not a pool", "[ERR]wrong mem pool addr: 0x578c1, func:OsMemPoolHeadInfoPrint,line:1080\n", []string{"pool-head-damaged check 0x0"}, "0x578c1"},
		{
			"a list of free nodes",
			"[OsMemFindSuitableFreeBlock:876]Mem node data error:OS_MEM_HEAD_ADDR(pool)=0x57adc, listNodeHead:0x57b14,allocSize=72, tmpNode=0x41414141\n" + panics,
			[]string{"free-index-wrong alloc 0x0 at 0x13bd4"},
			"0x41414141",
		},
		{"outside the pool", "[ERR]input ptr 0x10 is out of system memory range[0x57bac, 0xffffb8]\n", []string{"outside-pool owner look-up 0x0 pointer 0x10"}, ""},
		{"a free node", "[ERR]input ptr 0xb5d90 is belong to a free mem node\n", []string{"inside-free-node owner look-up 0x0 pointer 0xb5d90"}, ""},
		{"nothing", "app: cur node: 0x10 pre node: 3\nmemcheck\nsystem memcheck over, all passed!\n LR[0]:0x1\ntraceback 0 -- lr = 0x1\nthe pointer\n", nil, ""},
	} {
		got := reports("log", []byte(c.log))
		var lines []string
		for _, f := range got {
			lines = append(lines, show(f))
		}
		if strings.Join(lines, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, strings.Join(lines, "\n"), strings.Join(c.want, "\n"))
			continue
		}
		if len(got) > 0 {
			if f := got[len(got)-1]; !strings.Contains(f.Detail+f.Partial, c.says) {
				t.Errorf("%s: %q, %q; want %q", c.name, f.Detail, f.Partial, c.says)
			}
		}
	}
}

// older is text as LiteOS printed it before version 5.
func older(s string) string {
	return strings.NewReplacer(
		"freeNodeInfo", "stFreeNodeInfo", "preNode=", "pstPreNode=", "gapSize", "uwGapSize", "sizeAndFlag", "uwSizeAndFlag",
		"the address of node :", "node's address: ",
	).Replace(s)
}

func wild(given int) string {
	return fmt.Sprintf("[ERR]*****************************************************\n[ERR]find a control block at: 0xb7804, gap size: 0x0, sizeof(LosMemDynNode): 0x48\n"+
		"[ERR]the pointer should be: 0xb784c\n[ERR]the pointer given is: %#x\n[ERR]PROBABLY A WILD POINTER\nrunTask->taskName = net\n*******backtrace begin*******\n"+
		"traceback 0 -- lr = 0x13c9c    fp = 0xa8bd4\n[ERR]*****************************************************\n\n", given)
}

// A list of thousands of sound nodes is no report, and hides none behind them.
func TestReportsLongList(t *testing.T) {
	m := &model{lay: *layoutOf(36)}
	at := uint64(0x57bac)
	const n = 5000
	for i := range n {
		h := m.node(at, at-256, 256, true, 3)
		if i == n-1 {
			h.gap = 7
		}
		m.control(h.at, h)
		at += 256
	}
	m.WriteString("[ERR]the detailed information of previous node:\n")
	m.details(m.node(at-512, at-768, 256, true, 3), "net")
	m.WriteString("check finish\n")
	got := reports("log", []byte(m.String()))
	if len(got) != 1 || got[0].Node != heap.Addr(at-256) || got[0].Partial != "" || got[0].Owners[3] != "net" {
		t.Fatalf("%d findings: %+v", len(got), got)
	}
}

// A device in a loop, a report without end, and other output without end cost
// bounded memory, and the parts kept say so.
func TestReportsBounds(t *testing.T) {
	dump := strings.Repeat(" 0x8bec8 :41414141 41414141 41414141 41414141 \n", 1000)
	got := reports("log", []byte("[ERR][OsMemIntegrityCheck], 1143, memory check error!\n dump mem tmpNode:0x8bec8 ~ 0x8bf08\n"+dump))
	if len(got) != 1 || !strings.Contains(got[0].Partial, "744 lines left out") {
		t.Errorf("%+v", got)
	}
	var trace strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&trace, "traceback %d -- lr = 0x1975c    fp = 0x4ba64\n", i)
	}
	got = reports("log", []byte("[ERR]PROBABLY A WILD POINTER\n*******backtrace begin*******\n"+trace.String()))
	if len(got) != 1 || len(got[0].Stack) != maxTrace || !strings.Contains(got[0].Partial, "only the first 2000 lines") {
		t.Errorf("%+v", got)
	}
	got = reports("log", []byte(strings.Repeat("[ERR][OsMemNodePrevGet]: the node information of current node is bad !!\n", 1500)))
	if len(got) != maxBad || !strings.Contains(got[maxBad-1].Partial, "1436 damaged nodes more") {
		t.Errorf("%d findings, the last: %+v", len(got), got[len(got)-1])
	}
	got = reports("log", []byte(strings.Repeat("[ERR]DlinkHead[3]: pstPrev:(nil), pstNext:(nil)\n", 1500)))
	if len(got) != 1 || len(got[0].Fields) != maxFreeLists || !strings.Contains(got[0].Partial, "left out") {
		t.Errorf("%+v", got)
	}
	got = reports("log", []byte(findBad+strings.Repeat("gt: tick\n", 1000)+copyIs+goodCopy+front))
	if len(got) != 2 || got[0].Partial == "" || got[1].Partial == "" {
		t.Errorf("%d findings", len(got))
	}
}

// A name that is cut is no name.
func TestReportsTaskName(t *testing.T) {
	for cut, want := range map[string]string{"": "net", " [ID": "", " = 0x0": "net", "et [ID": ""} {
		text := findBad + copyIs + goodCopy + front
		if cut != "" {
			text = text[:strings.LastIndex(text, cut)]
		}
		f := reports("x.log", []byte(text))[0]
		if got := f.Owners[0]; got != want || (want == "") != strings.Contains(f.Partial, "who allocated the node in front") {
			t.Errorf("cut in front of %q: %q, partial %q", cut, got, f.Partial)
		}
	}
}

// What the addresses of a report say of each other is checked.
func TestReportsContradict(t *testing.T) {
	whole := findBad + copyIs + goodCopy + front
	for name, c := range map[string]struct{ text, partial string }{
		"nothing":                  {whole, ""},
		"an odd address":           {strings.Replace(whole, "node:0xb696c", "node:0xb69c1", 1), "contradict each other"},
		"another header":           {strings.Replace(whole, "node:0xb696c", "node:0xb796c", 1), "contradict each other"},
		"the node in front":        {strings.Replace(whole, "node :0xb5d48", "node :0xb5d40", 1), "contradict each other"},
		"the checksum of the copy": {strings.Replace(whole, "0xa1527934[", "0xa152793[", 1), "only the checksum of the backup is wrong"},
		"given below the node":     {strings.Replace(wild(0xb785c), "is: 0xb785c", "is: 0xb78c", 1), "the addresses in the report contradict"},
		"should be something else": {strings.Replace(wild(0xb785c), "be: 0x", "be: 0x1", 1), "the addresses in the report contradict"},
		"a frame below its callee": {strings.Replace(wild(0xb785c), "0xa8bd4\n", "0xa8bd4\ntraceback 1 -- lr = 0x172b0    fp = 0xa8c\ntraceback 2 -- lr = 0x17c68    fp = 0xa8d00\n", 1), "frame pointers"},
	} {
		f := reports("x.log", []byte(c.text))[0]
		if c.partial == "" && f.Partial != "" || !strings.Contains(f.Partial, c.partial) {
			t.Errorf("%s: partial %q", name, f.Partial)
		}
		if strings.HasPrefix(c.partial, "the addresses") && (f.Expected != 0 || strings.Contains(f.Detail, "points")) {
			t.Errorf("%s: %s", name, f.Summary())
		}
	}
	// Without the node nothing is said about it.
	text := wild(0xb785c)
	i := strings.Index(text, "find a control block")
	text = text[:i] + text[i+strings.Index(text[i:], "\n")+1:]
	if f := reports("x.log", []byte(text))[0]; f.Node != 0 || strings.Contains(f.Detail, "0x0") || !strings.Contains(f.Partial, "the node that the pointer lies in") {
		t.Errorf("without the node: %s, partial %q", f.Summary(), f.Partial)
	}
}
