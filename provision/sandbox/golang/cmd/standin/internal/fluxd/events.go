package fluxd

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"

	"k8s.io/klog/v2"
)

// eventsAddress is where the Service notification-controller leads. The other
// controllers post their events there, and retry for half a minute within a
// reconciliation when nobody answers.
const eventsAddress = ":9090"

// event is what the stand-in reads of an event of a controller.
type event struct {
	InvolvedObject struct{ Kind, Namespace, Name string }
	Severity       string
	Reason         string
}

// serveEvents accepts the events of the other controllers until ctx is done.
// No Alert sends them on.
func serveEvents(ctx context.Context) error {
	listener, err := net.Listen("tcp", eventsAddress)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(acceptEvent), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close() // the process ends with it
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// acceptEvent answers as notification-controller: 202 for an event at /, 400
// for what is none.
func acceptEvent(out http.ResponseWriter, asked *http.Request) {
	if asked.URL.Path != "/" || asked.Method != http.MethodPost {
		http.NotFound(out, asked)
		return
	}
	var posted event
	if err := json.NewDecoder(asked.Body).Decode(&posted); err != nil || posted.InvolvedObject.Kind == "" {
		out.WriteHeader(http.StatusBadRequest)
		return
	}
	object := posted.InvolvedObject
	klog.Infof("%s/%s/%s: %s event %s, sent nowhere",
		object.Kind, object.Namespace, object.Name, posted.Severity, posted.Reason)
	out.WriteHeader(http.StatusAccepted)
}
