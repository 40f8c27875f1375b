#include "hypervisor-model/stack/winhv.h"

#include <algorithm>
#include <cstring>

#include "hypervisor-model/spec/hypercall_abi.h"
#include "hypervisor-model/spec/msr.h"
#include "sim/error.h"

namespace hvsim::hv::stack {
namespace {

/// Call codes (TLFS appendix A).
enum Call : std::uint16_t {
    kCreatePartition = 0x40,
    kInitializePartition = 0x41,
    kSetPartitionProperty = 0x45,
    kDepositMemory = 0x48,
    kMapGpaPages = 0x4b,
    kInstallIntercept = 0x4d,
    kCreateVp = 0x4e,
    kGetVpRegisters = 0x50,
    kSetVpRegisters = 0x51,
    kTranslateVirtualAddress = 0x52,
    kDeletePort = 0x58,
    kDisconnectPort = 0x5b,
    kPostMessage = 0x5c,
    kSignalEvent = 0x5d,
    kAssertVirtualInterrupt = 0x94,
    kCreatePort = 0x95,
    kConnectPort = 0x96,
    kSignalEventDirect = 0xc0,
    kPostMessageDirect = 0xc1,
};

/// Operating system identity: open source bit 63 clear, vendor Microsoft 1, OS 4 (TLFS 2.6).
constexpr std::uint64_t kOsIdentity = std::uint64_t{1} << 48 | std::uint64_t{4} << 40 | 10ull << 32;
constexpr std::size_t kDepositBatch = 64;
constexpr std::uint64_t kLargePages = 512;

}  // namespace

WinHv::WinHv(cpu::NativeCore& core, std::uint64_t input_page, std::uint64_t output_page)
    : core_(core), input_page_(input_page), output_page_(output_page) {}

void WinHv::enable(std::uint64_t hypercall_page) {
    bool done = core_.write_msr(msr::kGuestOsId, kOsIdentity);
    done = core_.write_msr(msr::kHypercall, hypercall_page | msr::kEnable) && done;
    SIM_ASSERT(done);
}

HvStatus WinHv::call(std::uint16_t code, std::span<const std::uint8_t> input, unsigned reps,
                     std::span<std::uint8_t> output, PartitionId charged) {
    SIM_ASSERT(input.size() <= sim::kPageSize);
    const std::uint64_t control = HypercallInput::RepCount::set(std::uint64_t{code}, reps);
    for (;;) {
        SIM_ASSERT(core_.write_memory(input_page_, input));
        const std::uint64_t result =
            core_.hypercall(control, input_page_, output.empty() ? 0 : output_page_);
        const auto status = static_cast<HvStatus>(HypercallResult::Status::get(result));
        if (status == HvStatus::insufficient_memory && charged != kInvalidPartition &&
            depositor_ != nullptr) {
            const std::vector<std::uint64_t> pages = depositor_->take_pages(kDepositBatch);
            const HvStatus deposited = deposit(charged, pages);
            if (deposited != HvStatus::success) return deposited;
            continue;  // a rep call starts anew: mapping the same pages again changes nothing
        }
        if (status == HvStatus::success && !output.empty())
            SIM_ASSERT(core_.read_memory(output_page_, output));
        return status;
    }
}

template <typename Header, typename Element>
HvStatus WinHv::rep(std::uint16_t code, const Header& header, std::span<const Element> elements,
                    std::span<std::uint8_t> output, PartitionId charged) {
    std::vector<std::uint8_t> input(sizeof header + elements.size_bytes());
    std::memcpy(input.data(), &header, sizeof header);
    std::memcpy(input.data() + sizeof header, elements.data(), elements.size_bytes());
    return call(code, input, static_cast<unsigned>(elements.size()), output, charged);
}

HvStatus WinHv::create_partition(PartitionId& created) {
    const hc::CreatePartition input;
    hc::PartitionOut output;
    const HvStatus status =
        call(kCreatePartition, {reinterpret_cast<const std::uint8_t*>(&input), sizeof input}, 0,
             {reinterpret_cast<std::uint8_t*>(&output), sizeof output}, kSelfPartition);
    created = output.partition;
    return status;
}

HvStatus WinHv::initialize_partition(PartitionId partition) {
    return simple(kInitializePartition, hc::PartitionOnly{partition}, partition);
}

HvStatus WinHv::set_property(PartitionId partition, std::uint32_t code, std::uint64_t value) {
    return simple(kSetPartitionProperty, hc::SetProperty{partition, code, 0, value});
}

HvStatus WinHv::deposit(PartitionId partition, std::span<const std::uint64_t> pages) {
    return rep(kDepositMemory, hc::PartitionOnly{partition}, pages);
}

HvStatus WinHv::map_memory(PartitionId partition, std::uint64_t target, std::uint64_t source,
                           std::uint64_t count, std::uint32_t flags) {
    constexpr std::size_t kMost = (sim::kPageSize - sizeof(hc::MapGpa)) / sizeof(std::uint64_t);
    while (count != 0) {
        const bool large =
            target % kLargePages == 0 && source % kLargePages == 0 && count >= kLargePages;
        const std::uint64_t step = large ? kLargePages : 1;
        std::uint64_t units = large ? count / kLargePages : count;
        if (!large) {  // small pages only up to where large ones can begin
            const std::uint64_t to_boundary = kLargePages - target % kLargePages;
            if (target % kLargePages == source % kLargePages) units = std::min(units, to_boundary);
        }
        units = std::min<std::uint64_t>(units, kMost);
        std::vector<std::uint64_t> pages;
        for (std::uint64_t i = 0; i < units; ++i) pages.push_back(source + i * step);
        const hc::MapGpa header{partition, target, flags | (large ? hc::kMapLarge : 0), 0};
        const HvStatus status =
            rep(kMapGpaPages, header, std::span<const std::uint64_t>(pages), {}, partition);
        if (status != HvStatus::success) return status;
        target += units * step;
        source += units * step;
        count -= units * step;
    }
    return HvStatus::success;
}

HvStatus WinHv::create_vp(PartitionId partition, VpIndex vp) {
    hc::CreateVp input;
    input.partition = partition;
    input.vp = vp;
    return simple(kCreateVp, input, partition);
}

HvStatus WinHv::install_intercept(PartitionId partition, InterceptType type, std::uint32_t access,
                                  std::uint64_t parameter) {
    return simple(
        kInstallIntercept,
        hc::InstallIntercept{partition, access, static_cast<std::uint32_t>(type), parameter},
        partition);
}

HvStatus WinHv::create_port(PartitionId owner, PortId port, PartitionId connection_partition,
                            const PortInfo& info) {
    hc::CreatePort input;
    input.port_partition = owner;
    input.port = port;
    input.connection_partition = connection_partition;
    input.info = info;
    return simple(kCreatePort, input, owner);
}

HvStatus WinHv::delete_port(PartitionId owner, PortId port) {
    return simple(kDeletePort, hc::PortOnly{owner, port, 0});
}

HvStatus WinHv::connect_port(PartitionId partition, ConnectionId connection, PartitionId owner,
                             PortId port, PortType type) {
    hc::ConnectPort input;
    input.connection_partition = partition;
    input.connection = connection;
    input.port_partition = owner;
    input.port = port;
    input.info.type = static_cast<std::uint32_t>(type);
    return simple(kConnectPort, input, partition);
}

HvStatus WinHv::disconnect_port(PartitionId partition, ConnectionId connection) {
    return simple(kDisconnectPort, hc::PortOnly{partition, connection, 0});
}

HvStatus WinHv::post_message(ConnectionId connection, std::uint32_t type,
                             std::span<const std::uint8_t> payload) {
    SIM_ASSERT(payload.size() <= kMessagePayloadMax);
    hc::PostMessage input;
    input.connection = connection;
    input.type = type;
    input.payload_size = static_cast<std::uint32_t>(payload.size());
    std::copy(payload.begin(), payload.end(), input.payload.begin());
    return simple(kPostMessage, input);
}

HvStatus WinHv::signal_event(ConnectionId connection, std::uint16_t flag) {
    const std::uint64_t input = connection | static_cast<std::uint64_t>(flag) << 32;
    const std::uint64_t result =
        core_.hypercall(HypercallInput::Fast::set(std::uint64_t{kSignalEvent}, 1), input, 0);
    return static_cast<HvStatus>(HypercallResult::Status::get(result));
}

HvStatus WinHv::signal_event_direct(PartitionId partition, VpIndex vp, unsigned sint,
                                    std::uint16_t flag) {
    hc::SignalEventDirect input;
    input.partition = partition;
    input.vp = vp;
    input.sint = static_cast<std::uint8_t>(sint);
    input.flag = flag;
    hc::SignalEventDirectOut output;
    return call(kSignalEventDirect, {reinterpret_cast<const std::uint8_t*>(&input), sizeof input},
                0, {reinterpret_cast<std::uint8_t*>(&output), sizeof output});
}

HvStatus WinHv::post_message_direct(PartitionId partition, VpIndex vp, unsigned sint,
                                    std::uint32_t type, std::span<const std::uint8_t> payload) {
    SIM_ASSERT(payload.size() <= kMessagePayloadMax);
    MessageSlot message;
    message.type = type;
    message.payload_size = static_cast<std::uint8_t>(payload.size());
    std::copy(payload.begin(), payload.end(), message.payload.begin());
    hc::PostMessageDirect input;
    input.partition = partition;
    input.vp = vp;
    input.sint = static_cast<std::uint8_t>(sint);
    std::memcpy(input.message.data(), &message, sizeof message);
    return simple(kPostMessageDirect, input);
}

HvStatus WinHv::assert_interrupt(PartitionId partition, const hc::AssertInterrupt& interrupt) {
    hc::AssertInterrupt input = interrupt;
    input.partition = partition;
    return simple(kAssertVirtualInterrupt, input);
}

HvStatus WinHv::set_registers(PartitionId partition, VpIndex vp,
                              std::span<const hc::RegisterAssociation> registers) {
    hc::VpRegisters header;
    header.partition = partition;
    header.vp = vp;
    return rep(kSetVpRegisters, header, registers);
}

HvStatus WinHv::get_registers(PartitionId partition, VpIndex vp,
                              std::span<const std::uint32_t> names,
                              std::span<RegisterValue> values) {
    SIM_ASSERT(names.size() == values.size());
    hc::VpRegisters header;
    header.partition = partition;
    header.vp = vp;
    return rep(kGetVpRegisters, header, names,
               {reinterpret_cast<std::uint8_t*>(values.data()), values.size_bytes()});
}

HvStatus WinHv::translate(PartitionId partition, VpIndex vp, std::uint64_t gva_page,
                          std::uint64_t control, hc::TranslateResult& result) {
    const hc::TranslateAddress input{partition, vp, 0, control, gva_page};
    return call(kTranslateVirtualAddress,
                {reinterpret_cast<const std::uint8_t*>(&input), sizeof input}, 0,
                {reinterpret_cast<std::uint8_t*>(&result), sizeof result});
}

}  // namespace hvsim::hv::stack
