#pragma once
// Intel's server processors, oldest first. Signatures and brand strings: CPUID dumps of the
// processors named; which generation has which VMX control: SDM 3D appendix A and the SDM's list of
// features by processor.
#include <array>

#include "cpu/models/features.h"
#include "cpu/models/model.h"
#include "cpu/vmx/spec/fields.h"

namespace hvsim::cpu {

/// What all of them have.
constexpr Model intel_model() {
    using namespace features;  // NOLINT: the bits' names
    Model model;
    model.vendor = Vendor::intel;
    model.physical_address_bits = 46;
    model.linear_address_bits = 48;
    model.machine_check_banks = 20;
    model.features_1_ecx = kCommon1Ecx | kVmx | kTscDeadline | kPcid;
    model.features_1_edx = kBaseline1Edx;
    model.features_7_ebx = kCommon7Ebx | kInvpcid;
    model.features_ext1_ecx = kLahf;
    model.features_ext1_edx = kCommonExtEdx;
    return model;
}

inline constexpr std::uint64_t kIntelServerCrystal = 25'000'000;

inline constexpr std::array kIntelModels{
    // E5 v3, 2014: the last without SMAP and page-modification logging
    [] {
        Model model = intel_model();
        model.name = "intel-haswell";
        model.timing_profile = "intel-broadwell-ep";
        model.brand = "Intel(R) Xeon(R) CPU E5-2673 v3 @ 2.40GHz";
        model.signature = 0x000306f2;
        model.features_7_ebx &= ~features::kSmap;
        model.vmx_absent = vmx::secondary::kPageModificationLogging |
                           vmx::secondary::kModeBasedExecute | vmx::secondary::kTscScaling;
        return model;
    }(),
    // E5 v4, 2016
    [] {
        Model model = intel_model();
        model.name = "intel-broadwell";
        model.timing_profile = "intel-broadwell-ep";
        model.brand = "Intel(R) Xeon(R) CPU E5-2673 v4 @ 2.30GHz";
        model.signature = 0x000406f1;
        model.vmx_absent = vmx::secondary::kModeBasedExecute | vmx::secondary::kTscScaling;
        return model;
    }(),
    // Xeon Scalable, 2017
    [] {
        Model model = intel_model();
        model.name = "intel-skylake";
        model.timing_profile = "intel-skylake-sp";
        model.brand = "Intel(R) Xeon(R) Platinum 8171M CPU @ 2.60GHz";
        model.signature = 0x00050654;
        model.crystal_hz = kIntelServerCrystal;
        return model;
    }(),
    // second generation, 2019: does not speculate as its predecessors do
    [] {
        Model model = intel_model();
        model.name = "intel-cascadelake";
        model.timing_profile = "intel-skylake-sp";
        model.brand = "Intel(R) Xeon(R) Platinum 8272CL CPU @ 2.60GHz";
        model.signature = 0x00050657;
        model.crystal_hz = kIntelServerCrystal;
        model.features_7_edx = features::kArchCapabilities;
        return model;
    }(),
    // third generation, 2021
    [] {
        Model model = intel_model();
        model.name = "intel-icelake";
        model.timing_profile = "intel-icelake-sp";
        model.brand = "Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz";
        model.signature = 0x000606a6;
        model.features_7_ecx = features::kUmip;
        model.crystal_hz = kIntelServerCrystal;
        model.features_7_edx = features::kArchCapabilities;
        return model;
    }(),
};

}  // namespace hvsim::cpu
