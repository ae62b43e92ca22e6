// A CSI driver on one btrfs file system. Volumes are directories of one subvolume, so a snapshot
// of the kernel catches all of them in the same moment. It registers itself with the kubelet.
//
//	volumes/VOLUME                    what pods see, or in it the image of an ext4 of its own
//	sizes/VOLUME                      an empty file as long as the volume should be
//	snapshots/NAME/volumes/VOLUME     a snapshot, whose handle is snapshots/NAME/VOLUME
//	snapshots/NAME/VOLUME             tells by its time and length when it was taken, and of how much
//	snapshots/NAME/ready.at           tells by its time from when on it can be restored, if not at once
//	groups/NAME/volumes/VOLUME        a group snapshot likewise; its own handle is groups/NAME
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const name = "csi.quiescent.test"

// In the directory of a volume that is a file system of its own.
const image = "ext4.img"

// In the directory of a snapshot that is not ready at once.
const readyAt = "ready.at"

// Tears what it copies, as csi-driver-host-path does with tar and gzip. A file that changes
// or goes away meanwhile (status 1) is no error to it.
const tear = `tar -C "$1" -Scz . | tar -C "$2" -xz; [[ ${PIPESTATUS[*]} == [01]" 0" ]]`

type driver struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedControllerServer
	csi.UnimplementedGroupControllerServer
	csi.UnimplementedNodeServer
	registration.UnimplementedRegistrationServer

	socket, node string
	one          sync.Mutex // a repeated request waits, and then finds the work done
}

func main() {
	var d driver
	root := flag.String("root", "", "mount point of the btrfs file system")
	flag.StringVar(&d.socket, "socket", "", "where to listen, in the kubelet's plugins_registry")
	flag.StringVar(&d.node, "node", "", "name of this node")
	flag.Parse()

	check(os.Chdir(*root))
	for _, directory := range []string{"sizes", "snapshots", "groups"} {
		check(os.MkdirAll(directory, 0o700))
	}
	if !exists("volumes") {
		check(run("btrfs", "subvolume", "create", "volumes"))
	}
	os.Remove(d.socket)
	listener, err := net.Listen("unix", d.socket)
	check(err)
	server := grpc.NewServer(grpc.UnaryInterceptor(logged))
	registration.RegisterRegistrationServer(server, &d)
	csi.RegisterIdentityServer(server, &d)
	csi.RegisterControllerServer(server, &d)
	csi.RegisterGroupControllerServer(server, &d)
	csi.RegisterNodeServer(server, &d)
	check(server.Serve(listener))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func run(command ...string) error {
	if output, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, output)
	}
	return nil
}

func logged(ctx context.Context, request any, call *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	began := time.Now()
	answer, err := handle(ctx, request)
	if err != nil || !strings.Contains(call.FullMethod, "Get") && !strings.HasSuffix(call.FullMethod, "Probe") {
		took := time.Since(began).Seconds() * 1000
		log.Printf("%s {%v}: {%v} %v took %.1f ms", call.FullMethod, request, answer, err, took)
	}
	return answer, err
}

// Handles become paths, so they have to be of our own making.
var (
	volumeHandle   = regexp.MustCompile(`^[\w-]+$`)
	groupHandle    = regexp.MustCompile(`^groups/[\w-]+$`)
	snapshotHandle = regexp.MustCompile(`^(snapshots|groups)/[\w-]+/[\w-]+$`)
)

// valid refuses a handle that is missing, and one that no volume or snapshot can have.
func valid(form *regexp.Regexp, handle string) error {
	if handle == "" {
		return status.Error(codes.InvalidArgument, "something is missing")
	}
	if !form.MatchString(handle) {
		return status.Errorf(codes.NotFound, "not a handle of this driver: %q", handle)
	}
	return nil
}

// gone makes a success of the answer to deleting what cannot be there.
func gone(err error) error {
	if status.Code(err) == codes.NotFound {
		return nil
	}
	return err
}

// size of a volume or a snapshot, from the file that tells it
func size(file string) int64 {
	if info, err := os.Stat(file); err == nil {
		return info.Size()
	}
	return 0
}

func mark(file string, size int64) error {
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	return os.Truncate(file, size)
}

// Identity, and the registration with the kubelet.

func (d *driver) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type: registration.CSIPlugin, Name: name, Endpoint: d.socket, SupportedVersions: []string{"1.12.0"},
	}, nil
}

func (d *driver) NotifyRegistrationStatus(context.Context, *registration.RegistrationStatus) (*registration.RegistrationStatusResponse, error) {
	return &registration.RegistrationStatusResponse{}, nil
}

func (d *driver) GetPluginInfo(context.Context, *csi.GetPluginInfoRequest) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: name, VendorVersion: "1"}, nil
}

func (d *driver) GetPluginCapabilities(context.Context, *csi.GetPluginCapabilitiesRequest) (*csi.GetPluginCapabilitiesResponse, error) {
	answer := &csi.GetPluginCapabilitiesResponse{}
	for _, service := range []csi.PluginCapability_Service_Type{
		csi.PluginCapability_Service_CONTROLLER_SERVICE,
		csi.PluginCapability_Service_GROUP_CONTROLLER_SERVICE,
	} {
		answer.Capabilities = append(answer.Capabilities, &csi.PluginCapability{
			Type: &csi.PluginCapability_Service_{Service: &csi.PluginCapability_Service{Type: service}},
		})
	}
	return answer, nil
}

func (d *driver) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{}, nil
}

// Volumes.

func (d *driver) ControllerGetCapabilities(context.Context, *csi.ControllerGetCapabilitiesRequest) (*csi.ControllerGetCapabilitiesResponse, error) {
	answer := &csi.ControllerGetCapabilitiesResponse{}
	for _, call := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT,
		csi.ControllerServiceCapability_RPC_LIST_SNAPSHOTS,
	} {
		answer.Capabilities = append(answer.Capabilities, &csi.ControllerServiceCapability{
			Type: &csi.ControllerServiceCapability_Rpc{Rpc: &csi.ControllerServiceCapability_RPC{Type: call}},
		})
	}
	return answer, nil
}

// CreateVolume makes an empty volume, or one with the files of a snapshot.
func (d *driver) CreateVolume(_ context.Context, request *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	d.one.Lock()
	defer d.one.Unlock()
	if err := valid(volumeHandle, request.Name); err != nil {
		return nil, err
	}
	if err := usable(request.VolumeCapabilities...); err != nil {
		return nil, err
	}
	bytes := request.CapacityRange.GetRequiredBytes()
	answer := &csi.CreateVolumeResponse{Volume: &csi.Volume{
		VolumeId: request.Name, CapacityBytes: bytes, ContentSource: request.VolumeContentSource,
	}}
	volume := filepath.Join("volumes", request.Name)
	if exists(volume) {
		if had := size(filepath.Join("sizes", request.Name)); had != bytes {
			return nil, status.Errorf(codes.AlreadyExists, "it is there with %d bytes", had)
		}
		return answer, nil
	}
	fresh := volume + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return nil, err
	}
	if request.VolumeContentSource == nil {
		if err := os.Mkdir(fresh, 0o755); err != nil {
			return nil, err
		}
		switch kind := request.Parameters["fs"]; kind {
		case "":
		case "ext4":
			if err := format(filepath.Join(fresh, image), bytes); err != nil {
				return nil, err
			}
		default:
			return nil, status.Errorf(codes.InvalidArgument, "no such file system: %q", kind)
		}
	} else {
		handle := request.VolumeContentSource.GetSnapshot().GetSnapshotId()
		if err := valid(snapshotHandle, handle); err != nil {
			return nil, err
		}
		if !exists(handle) {
			return nil, status.Error(codes.NotFound, handle)
		}
		files := filepath.Join(filepath.Dir(handle), "volumes", filepath.Base(handle))
		if err := run("cp", "--archive", "--reflink=always", files, fresh); err != nil {
			return nil, err
		}
	}
	if err := mark(filepath.Join("sizes", request.Name), bytes); err != nil {
		return nil, err
	}
	return answer, os.Rename(fresh, volume)
}

// format makes an ext4 of so many bytes.
func format(file string, bytes int64) error {
	if err := mark(file, bytes); err != nil {
		return err
	}
	return run("mkfs.ext4", "-q", "-F", "-m", "0", file)
}

// usable refuses what this driver does not have.
func usable(capabilities ...*csi.VolumeCapability) error {
	if len(capabilities) == 0 {
		return status.Error(codes.InvalidArgument, "no capability is asked for")
	}
	for _, capability := range capabilities {
		if capability.GetMount() == nil {
			return status.Error(codes.InvalidArgument, "only volumes with files")
		}
	}
	return nil
}

func (d *driver) DeleteVolume(_ context.Context, request *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	d.one.Lock()
	defer d.one.Unlock()
	answer := &csi.DeleteVolumeResponse{}
	if err := valid(volumeHandle, request.VolumeId); err != nil {
		return answer, gone(err)
	}
	if err := os.RemoveAll(filepath.Join("volumes", request.VolumeId)); err != nil {
		return nil, err
	}
	return answer, os.RemoveAll(filepath.Join("sizes", request.VolumeId))
}

func (d *driver) ValidateVolumeCapabilities(_ context.Context, request *csi.ValidateVolumeCapabilitiesRequest) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	if err := valid(volumeHandle, request.VolumeId); err != nil {
		return nil, err
	}
	if !exists(filepath.Join("volumes", request.VolumeId)) {
		return nil, status.Error(codes.NotFound, request.VolumeId)
	}
	if err := usable(request.VolumeCapabilities...); err != nil {
		return nil, err
	}
	return &csi.ValidateVolumeCapabilitiesResponse{Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{
		VolumeCapabilities: request.VolumeCapabilities,
	}}, nil
}

// Snapshots.

// take makes the snapshot `to` (KIND/NAME) of the volumes, unless it is there.
func (d *driver) take(to string, volumes []string, parameters map[string]string) error {
	d.one.Lock()
	defer d.one.Unlock()
	if strings.HasSuffix(to, "/") || len(volumes) == 0 {
		return status.Error(codes.InvalidArgument, "something is missing")
	}
	for _, volume := range volumes {
		if err := valid(volumeHandle, volume); err != nil {
			return err
		}
		if !exists(filepath.Join("volumes", volume)) {
			return status.Error(codes.NotFound, volume)
		}
	}
	if files := filepath.Join(to, "volumes"); exists(files) {
		for _, volume := range volumes {
			if !exists(filepath.Join(to, volume)) {
				return status.Errorf(codes.AlreadyExists, "%s is not of %s", to, volume)
			}
		}
		return nil
	}
	method := parameters["method"]
	if method != "" && method != "copy" {
		return status.Errorf(codes.InvalidArgument, "no such method: %q", method)
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	fresh := filepath.Join(to, "fresh")
	if err := remove(fresh); err != nil {
		return err
	}
	if method == "copy" {
		if err := copyLive(volumes, fresh); err != nil {
			return err
		}
	} else if err := run("btrfs", "subvolume", "snapshot", "volumes", fresh); err != nil {
		return err
	}
	for _, volume := range volumes {
		if err := mark(filepath.Join(to, volume), size(filepath.Join("sizes", volume))); err != nil {
			return err
		}
	}
	if err := upload(to, parameters["upload"]); err != nil {
		return err
	}
	return os.Rename(fresh, filepath.Join(to, "volumes"))
}

// upload has a snapshot not be ready for so long after its cut, as those that are carried elsewhere.
func upload(snapshot, duration string) error {
	if duration == "" {
		return nil
	}
	takes, err := time.ParseDuration(duration)
	if err != nil {
		return status.Errorf(codes.InvalidArgument, "no such time: %q", duration)
	}
	file, until := filepath.Join(snapshot, readyAt), time.Now().Add(takes)
	return errors.Join(mark(file, 0), os.Chtimes(file, until, until))
}

// remove removes a subvolume, if it is there.
func remove(subvolume string) error {
	if !exists(subvolume) {
		return nil
	}
	return run("btrfs", "subvolume", "delete", subvolume)
}

// copyLive copies volumes file by file while they are written to, so it is not of one moment.
func copyLive(volumes []string, to string) error {
	if err := run("btrfs", "subvolume", "create", to); err != nil {
		return err
	}
	for _, volume := range volumes {
		into := filepath.Join(to, volume)
		if err := os.Mkdir(into, 0o755); err != nil {
			return err
		}
		if err := run("bash", "-c", tear, "copy", filepath.Join("volumes", volume), into); err != nil {
			return err
		}
	}
	return nil
}

// drop removes the snapshot KIND/NAME, if it is there.
func (d *driver) drop(snapshot string) error {
	d.one.Lock()
	defer d.one.Unlock()
	for _, subvolume := range []string{"volumes", "fresh"} {
		if err := remove(filepath.Join(snapshot, subvolume)); err != nil {
			return err
		}
	}
	return os.RemoveAll(snapshot)
}

// show describes a snapshot that is there.
func show(handle string) (*csi.Snapshot, error) {
	if err := valid(snapshotHandle, handle); err != nil {
		return nil, err
	}
	taken, err := os.Stat(handle)
	if err != nil || taken.IsDir() {
		return nil, status.Error(codes.NotFound, handle)
	}
	ready, err := os.Stat(filepath.Join(filepath.Dir(handle), readyAt))
	snapshot := &csi.Snapshot{
		SnapshotId: handle, SourceVolumeId: filepath.Base(handle), SizeBytes: taken.Size(),
		CreationTime: timestamppb.New(taken.ModTime()),
		ReadyToUse:   err != nil || time.Now().After(ready.ModTime()),
	}
	if group := filepath.Dir(handle); groupHandle.MatchString(group) {
		snapshot.GroupSnapshotId = group
	}
	return snapshot, nil
}

func (d *driver) CreateSnapshot(_ context.Context, request *csi.CreateSnapshotRequest) (*csi.CreateSnapshotResponse, error) {
	snapshot := "snapshots/" + request.Name
	if err := d.take(snapshot, []string{request.SourceVolumeId}, request.Parameters); err != nil {
		return nil, err
	}
	shown, err := show(snapshot + "/" + request.SourceVolumeId)
	return &csi.CreateSnapshotResponse{Snapshot: shown}, err
}

func (d *driver) DeleteSnapshot(_ context.Context, request *csi.DeleteSnapshotRequest) (*csi.DeleteSnapshotResponse, error) {
	answer := &csi.DeleteSnapshotResponse{}
	if err := valid(snapshotHandle, request.SnapshotId); err != nil {
		return answer, gone(err)
	}
	snapshot := filepath.Dir(request.SnapshotId)
	if groupHandle.MatchString(snapshot) && exists(request.SnapshotId) {
		return nil, status.Errorf(codes.InvalidArgument, "only goes away together with %s", snapshot)
	}
	return answer, d.drop(snapshot)
}

// ListSnapshots has them all in the order of their handles; a token is a number of them.
func (d *driver) ListSnapshots(_ context.Context, request *csi.ListSnapshotsRequest) (*csi.ListSnapshotsResponse, error) {
	answer := &csi.ListSnapshotsResponse{}
	first, err := strconv.Atoi("0" + request.StartingToken)
	if err != nil {
		return nil, status.Error(codes.Aborted, "no such token")
	}
	handles, _ := filepath.Glob("*/*/*")
	for index := first; index < len(handles); index++ {
		shown, err := show(handles[index])
		if err != nil ||
			request.SnapshotId != "" && request.SnapshotId != shown.SnapshotId ||
			request.SourceVolumeId != "" && request.SourceVolumeId != shown.SourceVolumeId {
			continue
		}
		if request.MaxEntries > 0 && len(answer.Entries) == int(request.MaxEntries) {
			answer.NextToken = strconv.Itoa(index)
			break
		}
		answer.Entries = append(answer.Entries, &csi.ListSnapshotsResponse_Entry{Snapshot: shown})
	}
	return answer, nil
}

// Groups of snapshots.

func (d *driver) GroupControllerGetCapabilities(context.Context, *csi.GroupControllerGetCapabilitiesRequest) (*csi.GroupControllerGetCapabilitiesResponse, error) {
	return &csi.GroupControllerGetCapabilitiesResponse{Capabilities: []*csi.GroupControllerServiceCapability{{
		Type: &csi.GroupControllerServiceCapability_Rpc{Rpc: &csi.GroupControllerServiceCapability_RPC{
			Type: csi.GroupControllerServiceCapability_RPC_CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT,
		}},
	}}}, nil
}

func showGroup(group string, members []string) (*csi.VolumeGroupSnapshot, error) {
	answer := &csi.VolumeGroupSnapshot{GroupSnapshotId: group, ReadyToUse: true}
	for _, member := range members {
		snapshot, err := show(member)
		if err != nil {
			return nil, err
		}
		answer.Snapshots = append(answer.Snapshots, snapshot)
		answer.CreationTime = snapshot.CreationTime
		answer.ReadyToUse = answer.ReadyToUse && snapshot.ReadyToUse
	}
	return answer, nil
}

func (d *driver) CreateVolumeGroupSnapshot(_ context.Context, request *csi.CreateVolumeGroupSnapshotRequest) (*csi.CreateVolumeGroupSnapshotResponse, error) {
	group := "groups/" + request.Name
	if err := d.take(group, request.SourceVolumeIds, request.Parameters); err != nil {
		return nil, err
	}
	var members []string
	for _, volume := range request.SourceVolumeIds {
		members = append(members, group+"/"+volume)
	}
	shown, err := showGroup(group, members)
	return &csi.CreateVolumeGroupSnapshotResponse{GroupSnapshot: shown}, err
}

func (d *driver) GetVolumeGroupSnapshot(_ context.Context, request *csi.GetVolumeGroupSnapshotRequest) (*csi.GetVolumeGroupSnapshotResponse, error) {
	if err := valid(groupHandle, request.GroupSnapshotId); err != nil {
		return nil, err
	}
	if !exists(request.GroupSnapshotId) {
		return nil, status.Error(codes.NotFound, request.GroupSnapshotId)
	}
	shown, err := showGroup(request.GroupSnapshotId, request.SnapshotIds)
	return &csi.GetVolumeGroupSnapshotResponse{GroupSnapshot: shown}, err
}

func (d *driver) DeleteVolumeGroupSnapshot(_ context.Context, request *csi.DeleteVolumeGroupSnapshotRequest) (*csi.DeleteVolumeGroupSnapshotResponse, error) {
	answer := &csi.DeleteVolumeGroupSnapshotResponse{}
	if err := valid(groupHandle, request.GroupSnapshotId); err != nil {
		return answer, gone(err)
	}
	return answer, d.drop(request.GroupSnapshotId)
}

// The node: pods see a volume through a bind mount.

func (d *driver) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: d.node}, nil
}

func (d *driver) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	return &csi.NodeGetCapabilitiesResponse{}, nil
}

func (d *driver) NodePublishVolume(_ context.Context, request *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	if err := valid(volumeHandle, request.VolumeId); err != nil {
		return nil, err
	}
	if request.TargetPath == "" {
		return nil, status.Error(codes.InvalidArgument, "no target")
	}
	if request.VolumeCapability == nil {
		return nil, usable()
	}
	answer := &csi.NodePublishVolumeResponse{}
	volume := filepath.Join("volumes", request.VolumeId)
	source, err := os.Stat(volume)
	if err != nil {
		return nil, status.Error(codes.NotFound, request.VolumeId)
	}
	if err := os.MkdirAll(request.TargetPath, 0o750); err != nil {
		return nil, err
	}
	if file := filepath.Join(volume, image); exists(file) {
		return answer, mountImage(file, request.TargetPath, request.Readonly)
	}
	if target, err := os.Stat(request.TargetPath); err != nil || os.SameFile(source, target) {
		return answer, err // mounted before
	}
	if err := unix.Mount(volume, request.TargetPath, "", unix.MS_BIND, ""); err != nil || !request.Readonly {
		return answer, err
	}
	return answer, unix.Mount("", request.TargetPath, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
}

func (d *driver) NodeUnpublishVolume(_ context.Context, request *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	if request.VolumeId == "" || request.TargetPath == "" {
		return nil, status.Error(codes.InvalidArgument, "something is missing")
	}
	if err := unix.Unmount(request.TargetPath, 0); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return nil, err // EINVAL: not mounted
	}
	if err := os.Remove(request.TargetPath); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// mountImage mounts a file system that lies in a file, unless it is mounted there.
func mountImage(file, target string, readonly bool) error {
	var here, above unix.Stat_t
	if err := errors.Join(unix.Stat(target, &here), unix.Stat(filepath.Dir(target), &above)); err != nil || here.Dev != above.Dev {
		return err
	}
	options := "loop,noatime"
	if readonly {
		options += ",ro"
	}
	return run("mount", "-o", options, file, target)
}
