#include "app/machine/vm_bus.h"

#include "sim/error.h"

namespace hvsim::app {
namespace {

constexpr std::uint32_t kChannelMessage = 1;  ///< SynIC message type of VMBus
constexpr unsigned kGuestSint = 2;

/// Instance ids only have to differ; these count up.
vmbus::spec::Guid instance_guid(std::uint8_t kind, std::uint8_t number) {
    vmbus::spec::Guid guid{};
    guid.bytes[0] = kind;
    guid.bytes[7] = 0x40;
    guid.bytes[8] = 0x80;
    guid.bytes[15] = number;
    return guid;
}

}  // namespace

VmBus::VmBus(hv::stack::RootPartition& root, hv::stack::WorkerProcess& worker, RootStorage& storage,
             sim::Recorder& recorder, const vmbus::ServerConfig& config,
             std::vector<VmDiskDescription> disks)
    : root_(root),
      worker_(worker),
      storage_(storage),
      recorder_(recorder),
      config_(config),
      disks_(std::move(disks)) {
    root_.add_client(*this);
}

VmBus::~VmBus() {
    closing_ = true;  // the simulation is over: the ports go with the hypervisor
}

void VmBus::start(hv::stack::RootVp&) {
    environment_ = std::make_unique<vmbus::Environment>(vmbus::Environment{
        *this, *this, *this, *this, &recorder_, vmbus::Costs::from(root_.timing()),
        static_cast<std::uint16_t>(worker_.partition()), now()});
    server_ = std::make_unique<vmbus::VmbusServer>(*environment_, config_);
    vmbus::storvsp::StorVspConfig scsi;
    scsi.instance = instance_guid(0x5c, 0);
    storvsp_ = std::make_unique<vmbus::storvsp::StorVsp>(now(), *environment_, *server_, scsi);
    for (const VmDiskDescription& disk : disks_) add_disk(disk);
}

void VmBus::add_disk(const VmDiskDescription& disk) {
    backends_.push_back(std::make_unique<VmDisk>(storage_, disk.disk, disk.write_protected,
                                                 [this](std::uint64_t gpa, std::uint64_t length) {
                                                     return worker_.root_address(gpa, length);
                                                 }));
    vmbus::storvsp::DiskIdentity identity;
    identity.id = instance_guid(0xd1, disk.lun);
    storvsp_->add_lun(now(), {0, 0, disk.lun}, *backends_.back(), identity);
}

bool VmBus::change_disks() {
    if (removals_.empty() && additions_.empty()) return false;
    for (const std::uint8_t lun : removals_) storvsp_->remove_lun(now(), {0, 0, lun});
    for (const VmDiskDescription& disk : additions_) add_disk(disk);
    removals_.clear();
    additions_.clear();
    return true;
}

bool VmBus::on_work(hv::stack::RootVp&) {
    if (!server_) return false;
    if (change_disks()) return true;
    if (retry_) {
        retry_ = false;
        server_->retry_messages(now());
        if (!retry_) return true;
    }
    if (!server_->work_pending()) return false;
    server_->run(now());
    return true;
}

void VmBus::on_message(hv::stack::RootVp&, std::uint32_t, std::uint32_t,
                       std::span<const std::uint8_t> payload) {
    server_->on_message(now(), payload);
}

void VmBus::on_signal(hv::stack::RootVp&, std::uint32_t connection) {
    server_->on_signal(now(), connection);
}

bool VmBus::read(std::uint64_t gpa, std::span<std::uint8_t> out) {
    const auto address = worker_.root_address(gpa, out.size());
    return address && winhv().core().read_memory(*address, out);
}

bool VmBus::write(std::uint64_t gpa, std::span<const std::uint8_t> in) {
    const auto address = worker_.root_address(gpa, in.size());
    return address && winhv().core().write_memory(*address, in);
}

vmbus::PostResult VmBus::post_message(vmbus::MessageTarget target,
                                      std::span<const std::uint8_t> payload) {
    if (target.vp >= worker_.description().processors) return vmbus::PostResult::failed;
    const std::pair key{target.vp, target.sint};
    auto found = message_connections_.find(key);
    if (found == message_connections_.end())
        found =
            message_connections_
                .emplace(key, root_.connect_to_child(winhv(), worker_.partition(),
                                                     hv::PortType::message, target.vp, target.sint))
                .first;
    switch (winhv().post_message(found->second, kChannelMessage, payload)) {
        case hv::HvStatus::success:
            return vmbus::PostResult::posted;
        case hv::HvStatus::insufficient_buffers:
            retry_ = true;
            return vmbus::PostResult::no_buffers;
        default:
            return vmbus::PostResult::failed;
    }
}

bool VmBus::signal_event(std::uint32_t vp, std::uint16_t flag) {
    if (vp >= worker_.description().processors) return false;
    auto found = event_connections_.find(vp);
    if (found == event_connections_.end())
        found = event_connections_
                    .emplace(vp, root_.connect_to_child(winhv(), worker_.partition(),
                                                        hv::PortType::event, vp, kGuestSint))
                    .first;
    return winhv().signal_event(found->second, flag) == hv::HvStatus::success;
}

void VmBus::create_message_connection(std::uint32_t connection_id) {
    const hv::HvStatus status =
        root_.create_message_port(winhv(), worker_.partition(), connection_id, *this);
    SIM_ASSERT(status == hv::HvStatus::success);
}
void VmBus::delete_message_connection(std::uint32_t) {}
void VmBus::create_event_connection(std::uint32_t connection_id) {
    const hv::HvStatus status =
        root_.create_event_port(winhv(), worker_.partition(), connection_id, *this);
    SIM_ASSERT(status == hv::HvStatus::success);
}
void VmBus::delete_event_connection(std::uint32_t connection_id) {
    if (!closing_) root_.delete_port(winhv(), worker_.partition(), connection_id);
}

void VmBus::charge(sim::Duration cost) {
    winhv().core().charge(cost);
}
sim::Time VmBus::now() const {
    return root_.vp(0).winhv().core().now();
}

void VmBus::collect(sim::StatisticsSink& sink) const {
    if (server_) server_->collect(sink);
    if (storvsp_) storvsp_->collect(sink);
}

}  // namespace hvsim::app
