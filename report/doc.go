// Package report writes what analyses found, for people as text and for
// programs as JSON.
//
// Every function writes one document and returns the first error of the
// writer. Nothing here looks at the environment: the caller says how wide the
// text may be and whether colours are welcome.
//
// # JSON
//
// Fields may be added, none will be renamed or removed;
// readers should ignore those they do not know. Addresses are strings,
// "0x2b94c". Lists are never null except where it says so.
//
// Growth and groups (leaks, memused -g), one site per line:
//
//	{
//	  "listings": 7,                    number of listings
//	  "sites": [{
//	    "rank": 1,                      from 1
//	    "pool": "",                     empty: the only or main pool
//	    "growth": 83,                   nodes, last compared listing minus first
//	    "nodes": [19,32,49,...],        per listing; null: the listing lacks the pool
//	    "bytes": [760,1280,...],        per listing; the list is null if sizes are unknown
//	    "leaked_nodes": 83,             the growth, but never negative
//	    "stack": [{"addr":"0x2b94c","function":"f","file":"","line":0,"inlined":false}]
//	  }],
//	  "pools": [{"pool":"","first":1,"last":7,"complete":7}],   listings compared
//	  "partial_listings": [3],          numbers from 1
//	  "skipped": 0,                     listings left out in front of them (--from)
//	  "notes": ["..."]                  warnings in words
//	}
//
// Diff:
//
//	{
//	  "from": [{"label":"listing 1","source":"a.log:107","pool":"","partial":"","nodes":132}],
//	  "to": [...],
//	  "new": 257, "gone": 27, "kept": 105, "unknown": 0,        nodes
//	  "new_bytes": 20560, "gone_bytes": 2160,                   null if sizes are unknown
//	  "sites": [{"rank":1,"pool":"","growth":83,"new":["0x..."],"gone":["0x..."],"kept":19,
//	    "new_bytes":6640,"gone_bytes":0,                        null if sizes are unknown
//	    "stack":[...]
//	  }],
//	  "notes": []
//	}
//
// Nodes (memused), one node per line:
//
//	{
//	  "listings": [{
//	    "label":"listing 7","source":"a.log:1678","pool":"","partial":"",
//	    "nodes": [{"addr":"0x56bac","payload":"0x..","size":40,"total":80,"owner":3,"birth":9,"stack":[...]}]
//	  }],                               unknown payload, size, total, owner, birth are absent
//	  "notes": []
//	}
package report
