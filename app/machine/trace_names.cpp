// What the numbers in a machine's events are called.
#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>

#include "app/failure_text.h"
#include "app/machine/disk_controller.h"
#include "app/run.h"
#include "cpu/events.h"
#include "cpu/svm/spec/vmcb.h"
#include "cpu/vmx/spec/fields.h"
#include "devices/nvme/spec/nvme.h"
#include "hypervisor-model/host/iommu_manager.h"
#include "hypervisor-model/host/logical_processor.h"
#include "hypervisor-model/hypercall/table.h"
#include "hypervisor-model/spec/status.h"
#include "hypervisor-model/spec/synic.h"
#include "hypervisor-model/vp_msr_table.h"
#include "iommu/vtd/spec/tables.h"
#include "vmbus-model/spec/protocol.h"
#include "vmbus-model/storvsp/spec/scsi.h"

namespace hvsim::app {
namespace {

using sim::EventKind;
using sim::TraceNames;

void add_exits(TraceNames& names, Vendor vendor) {
    if (vendor == Vendor::intel) {
        for (std::uint32_t reason = 0; reason < 128; ++reason)
            if (const auto name = cpu::vmx::exit_reason_name(reason); !name.empty())
                names.add(EventKind::kVmExit, 0, reason, name);
        return;
    }
    using cpu::svm::ExitCode;
    const auto range = [&names](ExitCode first, std::uint64_t count, std::string_view stem,
                                std::string_view rest) {
        for (std::uint64_t i = 0; i < count; ++i)
            names.add(EventKind::kVmExit, 0, static_cast<std::uint64_t>(first) + i,
                      fmt::format("VMEXIT_{}{}{}", stem, i, rest));
    };
    for (std::uint64_t code = 0x60; code <= 0x403; ++code)
        if (const auto name = cpu::svm::exit_code_name(code); !name.empty())
            names.add(EventKind::kVmExit, 0, code, name);
    range(ExitCode::CR0_READ, 16, "CR", "_READ");
    range(ExitCode::CR0_WRITE, 16, "CR", "_WRITE");
    range(ExitCode::DR0_READ, 16, "DR", "_READ");
    range(ExitCode::DR0_WRITE, 16, "DR", "_WRITE");
    range(ExitCode::EXCP0, 32, "EXCP", "");
}

/// Rules of entries and instructions, and the fields that entries look at.
void add_failures(TraceNames& names, Vendor vendor) {
    for (const RuleName& rule : rule_names(vendor))
        for (const EventKind kind : {EventKind::kVmEntryFailed, EventKind::kInstructionRefused,
                                     EventKind::kVmxInstructionFailed})
            names.add(kind, 0, rule.number, rule.text);
    if (vendor == Vendor::intel)
        for (const auto& field : cpu::vmx::kFieldTable)
            names.add(EventKind::kVmEntryFailed, 1, field.encoding(), field.name);
    else
        for (const auto& field : cpu::svm::kFieldTable)
            names.add(EventKind::kVmEntryFailed, 1, field.offset, field.name);
    names.add(EventKind::kInstructionRefused, 1, cpu::kUD, "#UD");
    names.add(EventKind::kInstructionRefused, 1, cpu::kGP, "#GP");
    names.add(EventKind::kVmxInstructionFailed, 1, 0, "VMfailInvalid");
}

/// SDM 3A table 6-1.
void add_exceptions(TraceNames& names) {
    constexpr std::array<std::string_view, 20> kNames{
        "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "",
        "#TS", "#NP", "#SS", "#GP", "#PF", "",    "#MF", "#AC", "#MC", "#XM"};
    for (std::size_t vector = 0; vector < kNames.size(); ++vector)
        if (!kNames[vector].empty()) names.add(EventKind::kException, 0, vector, kNames[vector]);
}

void add_interrupts(TraceNames& names) {
    for (unsigned cause = 0;; ++cause) {
        const auto name = apic::interrupt_cause_name(static_cast<apic::InterruptCause>(cause));
        if (name.empty()) break;
        names.add(EventKind::kInterruptAccepted, 1, cause, name);
    }
    names.add(EventKind::kInterrupt, 1, kNvmeRequester, "NVMe controller");
    names.add(EventKind::kInterrupt, 1, std::uint64_t{kIoApicRequester}, "I/O APIC");
    names.add(EventKind::kInterrupt, 1, 0, "IOMMU");
    names.add(EventKind::kIommuFault, 0, kNvmeRequester, "NVMe controller");
    names.add(EventKind::kIommuFault, 0, std::uint64_t{kIoApicRequester}, "I/O APIC");
    const auto request = [&names](hv::IommuRequest kind, std::string_view name) {
        names.add(EventKind::kIommuFault, 3, static_cast<std::uint64_t>(kind), name);
    };
    request(hv::IommuRequest::write, "DMA write");
    request(hv::IommuRequest::read, "DMA read");
    request(hv::IommuRequest::interrupt, "interrupt");
    constexpr std::array<std::string_view, 9> kModes{
        "fixed", "lowest_priority", "SMI", "", "NMI", "INIT", "SIPI", "ExtINT", "doorbell"};
    for (std::size_t mode = 0; mode < kModes.size(); ++mode)
        if (!kModes[mode].empty()) names.add(EventKind::kIpi, 1, mode, kModes[mode]);
}

/// MSRs of a row by their own names: pairs and lists that the tables keep as one row.
std::string msr_name(std::string_view name, std::uint32_t count, std::uint32_t i) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kSeconds{
        {{"IA32_SYSENTER_ESP", "IA32_SYSENTER_EIP"},
         {"IA32_LSTAR", "IA32_CSTAR"},
         {"IA32_FS_BASE", "IA32_GS_BASE"}}};
    if (count == 1) return std::string(name);
    if (name == "STIMER") return fmt::format("STIMER{}_{}", i / 2, i % 2 == 0 ? "CONFIG" : "COUNT");
    if (name == "IA32_MTRR_PHYSBASE")
        return fmt::format("IA32_MTRR_PHYS{}{}", i % 2 == 0 ? "BASE" : "MASK", i / 2);
    if (name == "IA32_FS_BASE" && i == 2) return "IA32_KERNEL_GS_BASE";
    for (const auto& [first, second] : kSeconds)
        if (name == first) return std::string(i == 0 ? first : second);
    return fmt::format("{}{}", name, i);
}

void add_rows(TraceNames& names, std::span<const hv::MsrRow> rows, std::string_view prefix) {
    for (const hv::MsrRow& row : rows)
        for (std::uint32_t i = 0; i < row.count; ++i)
            names.add(EventKind::kMsrIntercept, 0, row.first + i,
                      fmt::format("{}{}", prefix, msr_name(row.name, row.count, i)));
}

/// x2APIC registers (SDM 3A table 11-6) that software uses.
void add_msrs(TraceNames& names) {
    add_rows(names, hv::architectural_msrs(), "");
    add_rows(names, hv::synthetic_msrs(), "HV_X64_MSR_");
    constexpr std::pair<std::uint32_t, std::string_view> kX2Apic[]{
        {0x1b, "IA32_APIC_BASE"},     {0x6e0, "IA32_TSC_DEADLINE"},  {0x802, "x2APIC_ID"},
        {0x803, "x2APIC_VERSION"},    {0x808, "x2APIC_TPR"},         {0x80a, "x2APIC_PPR"},
        {0x80b, "x2APIC_EOI"},        {0x80d, "x2APIC_LDR"},         {0x80f, "x2APIC_SIVR"},
        {0x828, "x2APIC_ESR"},        {0x82f, "x2APIC_LVT_CMCI"},    {0x830, "x2APIC_ICR"},
        {0x832, "x2APIC_LVT_TIMER"},  {0x833, "x2APIC_LVT_THERMAL"}, {0x834, "x2APIC_LVT_PMI"},
        {0x835, "x2APIC_LVT_LINT0"},  {0x836, "x2APIC_LVT_LINT1"},   {0x837, "x2APIC_LVT_ERROR"},
        {0x838, "x2APIC_INIT_COUNT"}, {0x839, "x2APIC_CUR_COUNT"},   {0x83e, "x2APIC_DIV_CONF"},
        {0x83f, "x2APIC_SELF_IPI"}};
    for (const auto& [msr, name] : kX2Apic) names.add(EventKind::kMsrIntercept, 0, msr, name);
    constexpr std::pair<std::uint32_t, std::string_view> kBitmaps[]{
        {0x810, "x2APIC_ISR"}, {0x818, "x2APIC_TMR"}, {0x820, "x2APIC_IRR"}};
    for (const auto& [first, name] : kBitmaps)
        for (std::uint32_t i = 0; i < 8; ++i)
            names.add(EventKind::kMsrIntercept, 0, first + i, fmt::format("{}{}", name, i));
}

void add_ports(TraceNames& names) {
    constexpr std::array<std::string_view, 8> kUart{"data", "IER", "IIR/FCR", "LCR",
                                                    "MCR",  "LSR", "MSR",     "SCR"};
    for (unsigned i = 0; i < kUart.size(); ++i)
        names.add(EventKind::kIoIntercept, 0, 0x3f8 + i, fmt::format("COM1.{}", kUart[i]));
    constexpr std::pair<std::uint16_t, std::string_view> kPorts[]{
        {0x20, "PIC1.command"}, {0x21, "PIC1.data"},    {0xa0, "PIC2.command"},
        {0xa1, "PIC2.data"},    {0x40, "PIT.counter0"}, {0x42, "PIT.counter2"},
        {0x43, "PIT.mode"},     {0x61, "NMI_status"},   {0x70, "RTC.index"},
        {0x71, "RTC.data"},     {0x80, "POST"},         {0x400, "PM1.status"},
        {0x402, "PM1.enable"},  {0x404, "PM1.control"}, {0x408, "PM_timer"},
        {0xcf8, "PCI.address"}, {0xcf9, "reset"},       {0xcfc, "PCI.data"}};
    for (const auto& [port, name] : kPorts) names.add(EventKind::kIoIntercept, 0, port, name);
}

void add_disks(TraceNames& names) {
    using Scsi = vmbus::storvsp::spec::Opcode;
    constexpr std::pair<Scsi, std::string_view> kScsi[]{
        {Scsi::test_unit_ready, "TEST UNIT READY"},
        {Scsi::request_sense, "REQUEST SENSE"},
        {Scsi::read_6, "READ(6)"},
        {Scsi::write_6, "WRITE(6)"},
        {Scsi::inquiry, "INQUIRY"},
        {Scsi::mode_sense_6, "MODE SENSE(6)"},
        {Scsi::start_stop_unit, "START STOP UNIT"},
        {Scsi::read_capacity_10, "READ CAPACITY(10)"},
        {Scsi::read_10, "READ(10)"},
        {Scsi::write_10, "WRITE(10)"},
        {Scsi::verify_10, "VERIFY(10)"},
        {Scsi::synchronize_cache_10, "SYNCHRONIZE CACHE(10)"},
        {Scsi::unmap, "UNMAP"},
        {Scsi::mode_sense_10, "MODE SENSE(10)"},
        {Scsi::read_16, "READ(16)"},
        {Scsi::write_16, "WRITE(16)"},
        {Scsi::verify_16, "VERIFY(16)"},
        {Scsi::synchronize_cache_16, "SYNCHRONIZE CACHE(16)"},
        {Scsi::service_action_in_16, "SERVICE ACTION IN(16)"},
        {Scsi::report_luns, "REPORT LUNS"},
        {Scsi::read_12, "READ(12)"},
        {Scsi::write_12, "WRITE(12)"},
        {Scsi::verify_12, "VERIFY(12)"}};
    for (const auto& [opcode, name] : kScsi)
        names.add(EventKind::kScsiRequest, 1, static_cast<std::uint64_t>(opcode), name);
    using Nvm = devices::nvme::spec::NvmOpcode;
    constexpr std::pair<Nvm, std::string_view> kNvm[]{
        {Nvm::flush, "Flush"},
        {Nvm::write, "Write"},
        {Nvm::read, "Read"},
        {Nvm::compare, "Compare"},
        {Nvm::write_zeroes, "Write Zeroes"},
        {Nvm::dataset_management, "Dataset Management"}};
    for (const auto& [opcode, name] : kNvm)
        names.add(EventKind::kDiskRequest, 1, static_cast<std::uint64_t>(opcode), name);
}

/// VT-d 4.1 7.1.3; the IOMMU's sources by name.
void add_iommu(TraceNames& names) {
    using Reason = iommu::vtd::spec::FaultReason;
    constexpr std::pair<Reason, std::string_view> kReasons[]{
        {Reason::root_not_present, "root entry not present"},
        {Reason::context_not_present, "context entry not present"},
        {Reason::context_invalid, "invalid context entry"},
        {Reason::address_too_wide, "address too wide"},
        {Reason::write_denied, "write denied"},
        {Reason::read_denied, "read denied"},
        {Reason::paging_access, "table not readable"},
        {Reason::root_access, "root table not readable"},
        {Reason::context_access, "context table not readable"},
        {Reason::root_reserved, "reserved bits in root entry"},
        {Reason::context_reserved, "reserved bits in context entry"},
        {Reason::paging_reserved, "reserved bits in table"},
        {Reason::translation_blocked, "translation blocked"},
        {Reason::interrupt_range, "interrupt address range"},
        {Reason::request_reserved, "reserved bits in request"},
        {Reason::index_too_large, "index too large"},
        {Reason::irte_not_present, "entry not present"},
        {Reason::irte_access, "entry not readable"},
        {Reason::irte_reserved, "reserved bits in entry"},
        {Reason::compatibility_blocked, "compatibility format blocked"},
        {Reason::source_rejected, "wrong source"}};
    for (const EventKind kind :
         {EventKind::kDmaFault, EventKind::kInterruptRemapFault, EventKind::kIommuFault}) {
        for (const auto& [reason, name] : kReasons)
            names.add(kind, 2, static_cast<std::uint64_t>(reason), name);
        names.add(kind, 0, kNvmeRequester, "NVMe controller");
    }
}

void add_messages(TraceNames& names) {
    using Type = hv::MessageType;
    constexpr std::pair<Type, std::string_view> kTypes[]{
        {Type::unmapped_gpa, "unmapped_gpa"},
        {Type::gpa_intercept, "gpa_intercept"},
        {Type::timer_expired, "timer_expired"},
        {Type::unrecoverable_exception, "unrecoverable_exception"},
        {Type::io_port_intercept, "io_port_intercept"},
        {Type::msr_intercept, "msr_intercept"},
        {Type::cpuid_intercept, "cpuid_intercept"},
        {Type::exception_intercept, "exception_intercept"},
        {Type::apic_eoi, "apic_eoi"}};
    for (const auto& [type, name] : kTypes)
        names.add(EventKind::kSynicMessage, 1, static_cast<std::uint64_t>(type), name);
    names.add(EventKind::kSynicMessage, 1, 1, "vmbus");
    for (const hv::HypercallRow& row : hv::hypercall_table())
        names.add(EventKind::kHypercall, 0, row.code, row.name);
    for (unsigned status = 0; status <= 0x100; ++status)
        if (const auto name = hv::status_name(static_cast<hv::HvStatus>(status)); name != "unknown")
            names.add(EventKind::kHypercall, 2, status, name);
    for (const auto& row : vmbus::spec::kMessageTable)
        names.add(EventKind::kVmbusMessage, 0, static_cast<std::uint64_t>(row.type), row.name);
}

void add_states(TraceNames& names, const Scenario& scenario) {
    names.add(EventKind::kVpRun, 0, 0, "stops");
    names.add(EventKind::kVpRun, 0, 1, "runs");
    for (unsigned reason = 0;; ++reason) {
        const auto name = hv::vp_run_reason_name(static_cast<hv::VpRunReason>(reason));
        if (name.empty()) break;
        names.add(EventKind::kVpRun, 1, reason, name);
    }
    constexpr std::array<std::string_view, 4> kPartition{"created", "active", "finalized",
                                                         "deleted"};
    for (std::size_t i = 0; i < kPartition.size(); ++i)
        names.add(EventKind::kPartitionState, 0, i, kPartition[i]);
    for (const MachineEnd end : {MachineEnd::poweroff, MachineEnd::reboot, MachineEnd::crash,
                                 MachineEnd::triple_fault, MachineEnd::halt, MachineEnd::exit})
        names.add(EventKind::kPowerState, 0, static_cast<std::uint64_t>(end), to_string(end));
    for (std::size_t i = 0; i < scenario.vms.size(); ++i)
        names.add(EventKind::kPowerState, 1, i, scenario.vms[i].name);
}

}  // namespace

sim::TraceNames trace_names(const Scenario& scenario) {
    sim::TraceNames names;
    add_exits(names, scenario.host.vendor);
    add_failures(names, scenario.host.vendor);
    add_exceptions(names);
    add_interrupts(names);
    add_msrs(names);
    add_ports(names);
    add_disks(names);
    add_messages(names);
    add_iommu(names);
    add_states(names, scenario);
    constexpr std::array<std::string_view, 3> kAccess{"read", "write", "execute"};
    for (std::size_t i = 0; i < kAccess.size(); ++i)
        names.add(EventKind::kTlbFill, 3, i, kAccess[i]);
    return names;
}

}  // namespace hvsim::app
