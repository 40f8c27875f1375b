#pragma once
// Input headers, elements and outputs of hypercalls (TLFS 18 and appendices; public headers where
// the TLFS is silent). Fields are in wire order; every struct has no hidden padding.
#include <array>
#include <cstddef>
#include <cstdint>

#include "hypervisor-model/spec/identity.h"
#include "hypervisor-model/spec/intercept_messages.h"
#include "hypervisor-model/spec/registers.h"
#include "hypervisor-model/spec/synic.h"

namespace hvsim::hv::hc {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

/// HV_VP_SET without its banks, which are the variable header.
struct VpSetHeader {
    u64 format = 0;  ///< 0 sparse 4K, 1 all
    u64 valid_bank_mask = 0;
};
inline constexpr u64 kVpSetSparse = 0, kVpSetAll = 1;

// --- TLB and interrupts ---

struct FlushSpace {
    u64 address_space = 0;
    u64 flags = 0;
    u64 processor_mask = 0;
};
static_assert(sizeof(FlushSpace) == 24);
struct FlushSpaceEx {
    u64 address_space = 0;
    u64 flags = 0;
    VpSetHeader set;
};
static_assert(sizeof(FlushSpaceEx) == 32);
inline constexpr u64 kFlushAllProcessors = 1, kFlushAllSpaces = 2, kFlushNonGlobalOnly = 4,
                     kFlushExtendedRange = 8;

struct FlushGuestPhysicalSpace {
    u64 address_space = 0;
    u64 flags = 0;
};
static_assert(sizeof(FlushGuestPhysicalSpace) == 16);

struct SendIpi {
    u32 vector = 0;
    u8 target_vtl = 0;
    u8 flags = 0;
    u16 reserved = 0;
    u64 processor_mask = 0;
};
static_assert(sizeof(SendIpi) == 16);
struct SendIpiEx {
    u32 vector = 0;
    u8 target_vtl = 0;
    u8 flags = 0;
    u16 reserved = 0;
    VpSetHeader set;
};
static_assert(sizeof(SendIpiEx) == 24);

struct LongSpinWait {
    u64 spin_count = 0;
};

struct RetargetInterrupt {
    u64 partition = 0;
    u64 device = 0;
    u32 source = 0;  ///< 1 MSI
    u32 reserved0 = 0;
    u32 msi_address = 0;
    u32 msi_data = 0;
    u64 reserved1 = 0;
    u32 vector = 0;
    u32 flags = 0;  ///< 1 multicast, 2 processor set, 4 proxy redirect
    u64 mask_or_format = 0;
};
static_assert(sizeof(RetargetInterrupt) == 56 && offsetof(RetargetInterrupt, vector) == 40);

// --- partitions ---

struct PartitionOnly {
    u64 partition = 0;
};
struct CreatePartition {
    u64 flags = 0;
    u32 proximity_domain = 0;
    u32 proximity_flags = 0;  ///< 0 preferred, 31 valid
    u32 compatibility_version = 0;
    u32 padding = 0;
};
static_assert(sizeof(CreatePartition) == 24);
/// The revision that takes masks of disabled processor features.
struct CreatePartitionEx {
    CreatePartition base;
    std::array<u64, 2> disabled_features{};
    u64 disabled_xsave = 0;
    u64 isolation = 0;
};
static_assert(sizeof(CreatePartitionEx) == 56);
struct PartitionOut {
    u64 partition = 0;
};
struct GetProperty {
    u64 partition = 0;
    u32 code = 0;
    u32 padding = 0;
};
static_assert(sizeof(GetProperty) == 16);
struct SetProperty {
    u64 partition = 0;
    u32 code = 0;
    u32 padding = 0;
    u64 value = 0;
};
static_assert(sizeof(SetProperty) == 24);
struct Value64 {
    u64 value = 0;
};
struct NextChild {
    u64 parent = 0;
    u64 previous = 0;
};

// --- memory ---

struct ProximityQuery {
    u64 partition = 0;
    u64 proximity = 0;
};
static_assert(sizeof(ProximityQuery) == 16);
struct MemoryBalance {
    u64 available = 0;
    u64 in_use = 0;
};
struct MapGpa {
    u64 partition = 0;
    u64 target_page = 0;
    u32 flags = 0;
    u32 padding = 0;
};
static_assert(sizeof(MapGpa) == 24);
struct UnmapGpa {
    u64 partition = 0;
    u64 target_page = 0;
    u32 flags = 0;
    u32 padding = 0;
};
static_assert(sizeof(UnmapGpa) == 24);
inline constexpr u32 kMapRead = 1, kMapWrite = 2, kMapKernelExecute = 4, kMapUserExecute = 8,
                     kMapAdjustable = 0x8000, kMapNoAccess = 0x1'0000, kMapNotCached = 0x20'0000,
                     kMapLarge = 0x8000'0000;
inline constexpr u32 kUnmapLarge = 2;

struct InstallIntercept {
    u64 partition = 0;
    u32 access = 0;
    u32 type = 0;
    u64 parameter = 0;
};
static_assert(sizeof(InstallIntercept) == 24);

// --- virtual processors ---

struct CreateVp {
    u64 partition = 0;
    u32 vp = 0;
    std::array<u8, 3> padding{};
    u8 subnode_type = 0;
    u64 subnode = 0;
    u64 proximity = 0;
    u64 flags = 0;
};
static_assert(sizeof(CreateVp) == 40 && offsetof(CreateVp, subnode) == 16);
struct VpOnly {
    u64 partition = 0;
    u32 vp = 0;
    u32 padding = 0;
};
static_assert(sizeof(VpOnly) == 16);
struct VpRegisters {
    u64 partition = 0;
    u32 vp = 0;
    u8 input_vtl = 0;  ///< VTL [3:0], use 4
    std::array<u8, 3> padding{};
};
static_assert(sizeof(VpRegisters) == 16);
struct RegisterAssociation {
    u32 name = 0;
    std::array<u32, 3> padding{};
    RegisterValue value;
};
static_assert(sizeof(RegisterAssociation) == 32);
struct TranslateAddress {
    u64 partition = 0;
    u32 vp = 0;
    u32 padding = 0;
    u64 control = 0;
    u64 gva_page = 0;
};
static_assert(sizeof(TranslateAddress) == 32);
struct TranslateResult {
    u32 code = 0;
    u8 cache_type = 0;
    u8 overlay = 0;  ///< bit 0
    u16 reserved = 0;
    u64 gpa_page = 0;
};
static_assert(sizeof(TranslateResult) == 16);
inline constexpr u64 kTranslateRead = 1, kTranslateWrite = 2, kTranslateExecute = 4,
                     kTranslatePrivilegeExempt = 8, kTranslateSetPageTableBits = 16,
                     kTranslateSupervisor = 64, kTranslateUser = 128;
enum class TranslateCode : u32 {
    success = 0,
    page_not_present = 1,
    privilege_violation = 2,
    invalid_page_table_flags = 3,
    gpa_unmapped = 4,
    gpa_no_read = 5,
    gpa_no_write = 6,
    illegal_overlay = 7,
    intercept = 8,
};
struct AccessGpa {
    u64 partition = 0;
    u32 vp = 0;
    u32 byte_count = 0;
    u64 gpa = 0;
    u64 control = 0;
};
static_assert(sizeof(AccessGpa) == 32);
struct WriteGpa {
    AccessGpa access;
    std::array<u8, 16> data{};
};
static_assert(sizeof(WriteGpa) == 48);
struct AccessGpaResult {
    u32 code = 0;  ///< AccessGpaCode
    u32 reserved = 0;
};
enum class AccessGpaCode : u32 {
    success = 0,
    unmapped = 1,
    read_intercept = 2,
    write_intercept = 3,
    illegal_overlay = 4,
};
struct ReadGpaOut {
    AccessGpaResult result;
    std::array<u8, 16> data{};
};
static_assert(sizeof(ReadGpaOut) == 24);

/// HV_INITIAL_VP_CONTEXT.
struct InitialContext {
    u64 rip = 0, rsp = 0, rflags = 0;
    WireSegment cs, ds, es, fs, gs, ss, tr, ldtr;
    WireTable idtr, gdtr;
    u64 efer = 0, cr0 = 0, cr3 = 0, cr4 = 0, pat = 0;
};
static_assert(sizeof(InitialContext) == 224 && offsetof(InitialContext, idtr) == 152 &&
              offsetof(InitialContext, efer) == 184);
struct StartVp {
    u64 partition = 0;
    u32 vp = 0;
    u8 target_vtl = 0;
    std::array<u8, 3> padding{};
    InitialContext context;
};
static_assert(sizeof(StartVp) == 240);
struct VpIndexFromApicId {
    u64 partition = 0;
    u8 target_vtl = 0;
    std::array<u8, 7> padding{};
};
static_assert(sizeof(VpIndexFromApicId) == 16);

// --- ports ---

struct PortOnly {
    u64 partition = 0;
    u32 id = 0;
    u32 reserved = 0;
};
static_assert(sizeof(PortOnly) == 16);
struct PortProperty {
    u64 partition = 0;
    u32 port = 0;
    u32 padding0 = 0;
    u32 property = 0;
    u32 padding1 = 0;
};
static_assert(sizeof(PortProperty) == 24);
struct CreatePort {
    u64 port_partition = 0;
    u32 port = 0;
    u8 vtl = 0;
    u8 minimum_vtl = 0;
    u16 reserved = 0;
    u64 connection_partition = 0;
    PortInfo info;
    u64 proximity = 0;
};
static_assert(sizeof(CreatePort) == 56 && offsetof(CreatePort, info) == 24);
struct ConnectPort {
    u64 connection_partition = 0;
    u32 connection = 0;
    u8 vtl = 0;
    std::array<u8, 3> padding{};
    u64 port_partition = 0;
    u32 port = 0;
    u32 padding1 = 0;
    ConnectionInfo info;
    u64 proximity = 0;
};
static_assert(sizeof(ConnectPort) == 72 && offsetof(ConnectPort, info) == 32);
struct PostMessage {
    u32 connection = 0;
    u32 reserved = 0;
    u32 type = 0;
    u32 payload_size = 0;
    std::array<u8, kMessagePayloadMax> payload{};
};
static_assert(sizeof(PostMessage) == 256);
struct SignalEvent {
    u32 connection = 0;
    u16 flag = 0;
    u16 reserved = 0;
};
static_assert(sizeof(SignalEvent) == 8);
struct PortRingEmpty {
    u32 sint = 0;
    u32 reserved = 0;
};
struct SignalEventDirect {
    u64 partition = 0;
    u32 vp = 0;
    u8 vtl = 0;
    u8 sint = 0;
    u16 flag = 0;
};
static_assert(sizeof(SignalEventDirect) == 16);
struct SignalEventDirectOut {
    u8 newly_signaled = 0;
    std::array<u8, 7> reserved{};
};
struct PostMessageDirect {
    u64 partition = 0;
    u32 vp = 0;
    u8 vtl = 0;
    std::array<u8, 3> padding{};
    u8 sint = 0;
    std::array<u8, 3> padding1{};
    std::array<u8, kMessageSize> message{};  ///< a MessageSlot, 4-byte aligned
    u32 padding2 = 0;
};
static_assert(sizeof(PostMessageDirect) == 280 && offsetof(PostMessageDirect, message) == 20);

// --- interrupts from the parent ---

struct AssertInterrupt {
    u64 partition = 0;
    u32 type = 0;   ///< InterruptType
    u32 flags = 0;  ///< 0 level, 1 logical destination
    u64 destination = 0;
    u32 vector = 0;
    u8 target_vtl = 0;
    std::array<u8, 3> padding{};
};
static_assert(sizeof(AssertInterrupt) == 32);
inline constexpr u32 kAssertLevel = 1, kAssertLogical = 2;
enum class InterruptType : u32 {
    fixed = 0,
    lowest_priority = 1,
    smi = 2,
    remote_read = 3,
    nmi = 4,
    init = 5,
    sipi = 6,
    ext_int = 7,
    local_int0 = 8,
    local_int1 = 9,
};

/// HV_INPUT_REGISTER_INTERCEPT_RESULT for CPUID.
struct RegisterInterceptResult {
    u64 partition = 0;
    u32 vp = 0;
    u32 type = 0;
    struct {
        u32 eax = 0, ecx = 0;
        u8 subleaf_specific = 0, always_override = 0;
        u16 padding = 0;
        u32 result_eax = 0, mask_eax = 0, result_ebx = 0, mask_ebx = 0;
        u32 result_ecx = 0, mask_ecx = 0, result_edx = 0, mask_edx = 0;
    } cpuid;
    u32 padding = 0;
};
static_assert(sizeof(RegisterInterceptResult) == 64);

struct LpOnly {
    u32 lp = 0;
    u32 reserved = 0;
};
struct LpRunTime {
    u64 global_time = 0, local_run_time = 0, reserved = 0, hypervisor_time = 0;
};
static_assert(sizeof(LpRunTime) == 32);

}  // namespace hvsim::hv::hc
