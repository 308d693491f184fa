package browser

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience is how long the browser may take for one answer, on a machine that has much else to do.
const patience = 2 * time.Minute

// chromium is a running browser with one tab. It is told what to do in the Chrome DevTools Protocol, over two pipes.
type chromium struct {
	t       *testing.T
	to      *os.File
	answers chan message
	session string
	number  int
	events  []message
	ended   bool // before its time
}

// message is one of the protocol, in either direction: a call, its answer or an event.
type message struct {
	ID        int             `json:"id,omitempty"`
	Method    string          `json:"method,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Params    any             `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// start starts a browser that ends with the test.
func start(t *testing.T) *chromium {
	t.Helper()
	program := find(t)
	fromUs, to := pipe(t)
	from, toUs := pipe(t)
	arguments := []string{"--headless=new", "--remote-debugging-pipe", "--user-data-dir=" + t.TempDir(), "--no-first-run", "--disable-gpu",
		"--disable-extensions", "--disable-background-networking", "--hide-scrollbars", "--force-device-scale-factor=1"}
	if os.Geteuid() == 0 {
		arguments = append(arguments, "--no-sandbox") // which root cannot have
	}
	var told strings.Builder
	cmd := exec.Command(program, arguments...)
	cmd.ExtraFiles = []*os.File{fromUs, toUs} // 3 is read by the browser, 4 is written
	cmd.Stderr = &told
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fromUs.Close()
	toUs.Close()
	c := &chromium{t: t, to: to, answers: make(chan message, 10_000)}
	go c.read(from)
	t.Cleanup(func() {
		to.Close() // at which it ends
		done := make(chan bool)
		go func() {
			defer close(done)
			if err := cmd.Wait(); err != nil {
				t.Logf("the browser ends: %v", err)
			}
		}()
		select {
		case <-done:
		case <-time.After(patience):
			t.Errorf("the browser does not end: %v", cmd.Process.Kill())
		}
		if c.ended {
			t.Logf("it said:\n%s", told.String())
		}
	})
	var target struct{ TargetID string }
	c.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	c.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	c.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		c.call(domain+".enable", nil, nil)
	}
	return c
}

// find returns the path of the browser. Without one the test fails: `make test` leaves the package out where there is none.
func find(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("there is no chromium: apt-get install chromium")
	return ""
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// read reads messages, which end with a zero byte, until the browser ends.
func (c *chromium) read(from *os.File) {
	defer close(c.answers)
	defer from.Close()
	reader := bufio.NewReader(from)
	for {
		text, err := reader.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
			return
		}
		c.answers <- m
	}
}

// call calls a method and reads its result. Events that come before are kept.
func (c *chromium) call(method string, params, result any) {
	c.t.Helper()
	c.number++
	text, err := json.Marshal(message{ID: c.number, Method: method, SessionID: c.session, Params: params})
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.to.Write(append(text, 0)); err != nil {
		c.t.Fatalf("%s: %v", method, err)
	}
	m := c.until(method, func(m *message) bool { return m.ID == c.number })
	if m.Error != nil {
		c.t.Fatalf("%s: %s", method, m.Error.Message)
	}
	if result != nil {
		if err := json.Unmarshal(m.Result, result); err != nil {
			c.t.Fatalf("%s: %v", method, err)
		}
	}
}

// until waits for a message.
func (c *chromium) until(what string, wanted func(*message) bool) *message {
	c.t.Helper()
	late := time.After(patience)
	for {
		select {
		case m, open := <-c.answers:
			if !open {
				c.ended = true
				c.t.Fatalf("the browser ended before it answered %s", what)
			}
			if wanted(&m) {
				return &m
			}
			if m.Method != "" {
				c.events = append(c.events, m)
			}
		case <-late:
			c.t.Fatalf("no answer to %s in %s", what, patience)
		}
	}
}

// open opens a file in a window of that width, in light or dark.
func (c *chromium) open(file, scheme string, width int) {
	c.t.Helper()
	c.events = nil
	c.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	c.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 768, "deviceScaleFactor": 1, "mobile": false}, nil)
	c.call("Page.navigate", map[string]any{"url": "file://" + file}, nil)
	for _, m := range c.events {
		if m.Method == "Page.loadEventFired" {
			return
		}
	}
	c.until("the end of loading", func(m *message) bool { return m.Method == "Page.loadEventFired" })
}

// evaluate evaluates a JavaScript expression in the page.
func (c *chromium) evaluate(expression string, result any) {
	c.t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	c.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &answer)
	if answer.ExceptionDetails != nil {
		c.t.Fatalf("%s\nfails: %s", expression, answer.ExceptionDetails)
	}
	if err := json.Unmarshal(answer.Result.Value, result); err != nil {
		c.t.Fatalf("%s\ngives %s: %v", expression, answer.Result.Value, err)
	}
}

// complaints are what the browser had to say since a file was opened: errors, refused scripts and styles, dialogs, and requests for anything but
// the file itself.
func (c *chromium) complaints(file string) []string {
	c.t.Helper()
	var one int
	c.evaluate("1", &one) // what it has to say about the past comes before its answer
	var list []string
	for _, m := range c.events {
		params, err := json.Marshal(m.Params)
		if err != nil {
			c.t.Fatal(err)
		}
		switch m.Method {
		case "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Page.javascriptDialogOpening":
			list = append(list, m.Method+" "+string(params))
		case "Network.requestWillBeSent":
			if !strings.Contains(string(params), strconv.Quote("file://"+file)) {
				list = append(list, m.Method+" "+string(params))
			}
		}
	}
	return list
}

// screenshot returns a PNG of a part of the page.
func (c *chromium) screenshot(width, height int) []byte {
	c.t.Helper()
	var answer struct{ Data string }
	c.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true,
		"clip": map[string]any{"x": 0, "y": 0, "width": width, "height": height, "scale": 1}}, &answer)
	png, err := base64.StdEncoding.DecodeString(answer.Data)
	if err != nil {
		c.t.Fatal(fmt.Errorf("no screenshot: %w", err))
	}
	return png
}
