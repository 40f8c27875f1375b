#include "cpu/models/model.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "cpu/descriptor.h"
#include "cpu/models/amd.h"
#include "cpu/models/intel.h"
#include "sim/error.h"

namespace hvsim::cpu {
namespace {

using namespace features;  // NOLINT: the bits' names

constexpr auto kModels = [] {
    std::array<Model, kIntelModels.size() + kAmdModels.size()> all{};
    std::copy(kIntelModels.begin(), kIntelModels.end(), all.begin());
    std::copy(kAmdModels.begin(), kAmdModels.end(), all.begin() + kIntelModels.size());
    return all;
}();

constexpr std::uint64_t kCr4Always = cr4::kVME | cr4::kPVI | cr4::kTSD | cr4::kDE | cr4::kPSE |
                                     cr4::kPAE | cr4::kMCE | cr4::kPGE | cr4::kPCE | cr4::kOSFXSR |
                                     cr4::kOSXMMEXCPT;

constexpr std::uint32_t kMaxExtendedIntel = 0x80000008, kMaxExtendedAmd = 0x8000000a;

CpuidResult vendor_leaf(Vendor vendor, std::uint32_t maximum) {
    return vendor == Vendor::intel ? CpuidResult{maximum, 0x756e6547, 0x6c65746e, 0x49656e69}
                                   : CpuidResult{maximum, 0x68747541, 0x444d4163, 0x69746e65};
}

std::uint32_t max_basic_leaf(const Model& model) {
    return model.crystal_hz != 0 ? 0x16 : 0xd;
}

CpuidResult features(const Model& model, const CpuidContext& context) {
    std::uint32_t ecx = model.features_1_ecx, edx = model.features_1_edx;
    if (context.osxsave) ecx |= kOsxsave;
    if (!context.virtualization) ecx &= ~kVmx;
    if (!context.monitor) ecx &= ~kMonitor;
    if (!context.apic_enabled) edx &= ~kApic;
    if (context.processor_count > 1) edx |= kHtt;
    const std::uint32_t logical = std::min(std::bit_ceil(context.processor_count), 255u);
    constexpr std::uint32_t kClflushQuadwords = 8;
    return {model.signature,
            (context.apic_id & 0xff) << 24 | logical << 16 | kClflushQuadwords << 8, ecx, edx};
}

/// One package of single-threaded cores, caches of 32 KiB, 32 KiB, 1 MiB and 32 MiB, 64-byte lines.
CpuidResult cache_parameters(const CpuidContext& context, std::uint32_t subleaf) {
    struct Cache {
        std::uint32_t type, level, ways, sets;
        bool shared;
    };
    static constexpr std::array<Cache, 4> kCaches{{{1, 1, 8, 64, false},
                                                   {2, 1, 8, 64, false},
                                                   {3, 2, 16, 1024, false},
                                                   {3, 3, 16, 32768, true}}};
    if (subleaf >= kCaches.size()) return {};
    const Cache& cache = kCaches[subleaf];
    const std::uint32_t cores = std::bit_ceil(context.processor_count);
    const std::uint32_t sharing = cache.shared ? cores - 1 : 0;
    return {
        cache.type | cache.level << 5 | 1u << 8 | sharing << 14 | std::min(cores - 1, 63u) << 26,
        (cache.ways - 1) << 22 | 63, cache.sets - 1, 0};
}

/// Lines of 64 bytes; the extensions are listed, and MWAIT may end with a masked interrupt. Intel's
/// EDX: one sub-state of C0, two of C1.
CpuidResult monitor_parameters(const Model& model, const CpuidContext& context) {
    if (!context.monitor || !(model.features_1_ecx & kMonitor)) return {};
    return {64, 64, 3, model.vendor == Vendor::intel ? 0x20u : 0x11u};
}

CpuidResult topology(const CpuidContext& context, std::uint32_t subleaf) {
    const auto bits = static_cast<std::uint32_t>(std::bit_width(context.processor_count - 1));
    if (subleaf == 0) return {0, 1, 1u << 8 | subleaf, context.apic_id};
    if (subleaf == 1) return {bits, context.processor_count, 2u << 8 | subleaf, context.apic_id};
    return {0, 0, subleaf & 0xff, context.apic_id};
}

/// x87 and SSE state, XSAVEOPT absent (SDM 1 13.2).
CpuidResult xsave_state(std::uint32_t subleaf) {
    constexpr std::uint32_t kLegacyAndHeader = 576;
    if (subleaf == 0) return {3, kLegacyAndHeader, kLegacyAndHeader, 0};
    return {};
}

CpuidResult brand(const Model& model, std::uint32_t part) {
    std::array<char, 48> text{};
    std::copy(model.brand.begin(), model.brand.end(), text.begin());
    CpuidResult result;
    std::memcpy(&result.eax, text.data() + part * 16, 4);
    std::memcpy(&result.ebx, text.data() + part * 16 + 4, 4);
    std::memcpy(&result.ecx, text.data() + part * 16 + 8, 4);
    std::memcpy(&result.edx, text.data() + part * 16 + 12, 4);
    return result;
}

CpuidResult extended(const Model& model, const CpuidContext& context, std::uint32_t leaf) {
    const bool amd = model.vendor == Vendor::amd;
    switch (leaf) {
        case 0x80000000:
            return amd ? vendor_leaf(Vendor::amd, kMaxExtendedAmd)
                       : CpuidResult{kMaxExtendedIntel, 0, 0, 0};
        case 0x80000001: {
            std::uint32_t ecx = model.features_ext1_ecx, edx = model.features_ext1_edx;
            if (!context.virtualization) ecx &= ~kSvm;
            if (!context.nx) edx &= ~kNx;
            return {amd ? model.signature : 0, 0, ecx, edx};
        }
        case 0x80000002:
        case 0x80000003:
        case 0x80000004:
            return brand(model, leaf - 0x80000002);
        case 0x80000005:  // L1: 32 KiB, 8-way, 64-byte lines
            return amd ? CpuidResult{0, 0, 32u << 24 | 8u << 16 | 1u << 8 | 64,
                                     32u << 24 | 8u << 16 | 1u << 8 | 64}
                       : CpuidResult{};
        case 0x80000006:
            return {0, 0, 1024u << 16 | 6u << 12 | 64, 0};
        case 0x80000007:
            return {0, 0, 0, 1u << 8};  // invariant TSC
        case 0x80000008: {
            const std::uint32_t address = model.physical_address_bits | model.linear_address_bits
                                                                            << 8;
            if (!amd) return {address, 0, 0, 0};
            const auto id_bits =
                static_cast<std::uint32_t>(std::bit_width(context.processor_count - 1));
            return {address, 0, (context.processor_count - 1) | id_bits << 12, 0};
        }
        case 0x8000000a:  // APM 3 E.4.9
            if (!amd || !context.virtualization) return {};
            return {1, 0x8000, 0, model.svm_features & ~(context.slat ? 0 : svm::kNestedPaging)};
        default:
            return {};
    }
}

CpuidResult basic(const Model& model, const CpuidContext& context, std::uint32_t leaf,
                  std::uint32_t subleaf) {
    const bool intel = model.vendor == Vendor::intel;
    switch (leaf) {
        case 0:
            return vendor_leaf(model.vendor, max_basic_leaf(model));
        case 1:
            return features(model, context);
        case 2:
            return intel ? CpuidResult{0x00feff01, 0, 0, 0} : CpuidResult{};
        case 4:
            return intel ? cache_parameters(context, subleaf) : CpuidResult{};
        case 5:
            return monitor_parameters(model, context);
        case 6:  // ARAT: the local APIC's timer goes on in all states of MWAIT
            return intel && context.monitor ? CpuidResult{1u << 2, 0, 0, 0} : CpuidResult{};
        case 7:
            return subleaf == 0 ? CpuidResult{0, model.features_7_ebx, model.features_7_ecx,
                                              model.features_7_edx}
                                : CpuidResult{};
        case 0xb:
            return topology(context, subleaf);
        case 0xd:
            return xsave_state(subleaf);
        case 0x15:  // TSC = crystal * EBX / EAX, exactly
            return {static_cast<std::uint32_t>(model.crystal_hz / 1'000'000),
                    static_cast<std::uint32_t>(context.tsc_hz / 1'000'000),
                    static_cast<std::uint32_t>(model.crystal_hz), 0};
        case 0x16: {
            const auto mhz = static_cast<std::uint32_t>(context.tsc_hz / 1'000'000);
            return {mhz, mhz, static_cast<std::uint32_t>(model.crystal_hz / 1'000'000), 0};
        }
        default:
            return {};
    }
}

}  // namespace

CpuidResult cpuid(const Model& model, const CpuidContext& context, std::uint32_t leaf,
                  std::uint32_t subleaf) {
    const std::uint32_t max_extended =
        model.vendor == Vendor::amd ? kMaxExtendedAmd : kMaxExtendedIntel;
    if (leaf >= 0x80000000 && leaf <= max_extended) return extended(model, context, leaf);
    const std::uint32_t max_basic = max_basic_leaf(model);
    if (leaf <= max_basic) return basic(model, context, leaf, subleaf);
    // SDM 2A CPUID: beyond the maximum, the data of the highest basic leaf; APM 3: zeros.
    if (model.vendor == Vendor::intel) return basic(model, context, max_basic, subleaf);
    return {};
}

std::span<const Model> models() {
    return kModels;
}

const Model* find_model(std::string_view name) {
    for (const Model& model : kModels)
        if (model.name == name) return &model;
    return nullptr;
}

const Model& default_model(Vendor vendor) {
    const Model* const model =
        find_model(vendor == Vendor::intel ? "intel-cascadelake" : "amd-rome");
    SIM_ASSERT(model != nullptr);
    return *model;
}

std::uint64_t valid_cr4(const Model& model, bool virtualization) {
    std::uint64_t valid = kCr4Always;
    if (model.features_7_ebx & kFsgsbase) valid |= cr4::kFSGSBASE;
    if (model.features_7_ebx & kSmep) valid |= cr4::kSMEP;
    if (model.features_7_ebx & kSmap) valid |= cr4::kSMAP;
    if (model.features_1_ecx & kPcid) valid |= cr4::kPCIDE;
    if (model.features_7_ecx & kUmip) valid |= cr4::kUMIP;
    if (model.features_1_ecx & kXsave) valid |= cr4::kOSXSAVE;
    if (virtualization && model.vendor == Vendor::intel) valid |= cr4::kVMXE;
    return valid;
}

}  // namespace hvsim::cpu
