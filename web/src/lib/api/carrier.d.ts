// Generated from openapi/carrier.json by `npm run api`; do not edit.

export interface paths {
    "/.well-known/parcelshelf": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who this carrier is. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/courier/doors/{stop}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** What became of a stop at a door. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    stop: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["DoorDoneIn"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["DoorDoneOut"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/courier/route": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The courier's own route. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["RouteOut"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/courier/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A courier's page begins a session with the code that was shown at hiring. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["CodeIn"];
                };
            };
            responses: {
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["CourierIs"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/courier/shift": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Begins or ends the shift. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["ShiftIn"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ShiftOut"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/couriers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Hires a courier; the token is shown once. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["NewCourier"];
                };
            };
            responses: {
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["CourierOut"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/couriers/{courier}/code": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A new code for a courier, shown once. The old one and its sessions end. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    courier: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["Nothing"];
                };
            };
            responses: {
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["CourierOut"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/couriers/{courier}/device": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Says which certified device a courier uses. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    courier: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["DeviceIn"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/couriers/{courier}/erase": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Erases a courier who has left. What they carried stays, without a name; with a parcel in the van, or at a car, nobody leaves. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    courier: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["Nothing"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/couriers/{courier}/route": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Says in which order a courier goes, and which doors lie between the cars. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    courier: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["RouteIn"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["RouteOut"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Deliveries, by state. */
        get: {
            parameters: {
                query?: {
                    /** @description `requested`, `accepted`, `loaded`, `leg`, `at_stop`, `falling_back`, `ended`. */
                    state?: string;
                    cursor?: string;
                    limit?: number;
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["DeliveriesSeen"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One delivery. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["DeliverySeen"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/arrived": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** The courier is at the stop. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["Nothing"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Nothing goes into the car: every parcel takes its fallback. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["CancelIn"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/erase": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Erases a delivery that has ended: for good, and in every backup. Asking again finds nothing. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["Nothing"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Everything that is kept of one delivery, as one document for the person whom it is about; for a merchant, its part of it. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/fallback-done": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A parcel reached its fallback. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["ParcelIn"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/finish": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** The courier leaves the stop; parcels without an outcome fall back. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["Nothing"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/hold": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Puts a legal hold on a delivery, or takes it off: while it stands nothing of the delivery is erased. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["LegalHoldIn"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/journal": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What happened to a delivery, with times rounded to a quarter of an hour. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["JournalOut"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/leg": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** The courier sets out for this stop: the answer is the stop page's address. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["Nothing"];
                };
            };
            responses: {
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["LegOut"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/load": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Puts a delivery on a courier's van. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["CourierIn"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/parcels/{parcel}/outcome": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** What became of a parcel. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                    parcel: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["OutcomeIn"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/unload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Takes a delivery off the van, for another courier. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["Nothing"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/ops/board": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Everything that is under way, and what needs a person. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["BoardOut"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/ops/deliveries/{delivery}/acknowledge": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Takes care, by name, of what may be open at a car. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["AcknowledgeIn"];
                };
            };
            responses: {
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/ops/deliveries/{delivery}/reassign": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Gives a delivery to another courier, also when the first has set out. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["CourierIn"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["DeliverySeen"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/ops/deliveries/{delivery}/recipient": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Whom a parcel is for. The look is noted before it is answered. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["LookIn"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["RecipientSeen"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/ops/hold": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Stops that couriers set out to cars, or lets them again. What is under way goes on, and so does every lock. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["HoldIn"];
                };
            };
            responses: {
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/ops/looks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who looked up whom, and why. */
        get: {
            parameters: {
                query?: {
                    after?: number;
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["LooksOut"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Ends the session of a courier's or staff's page. */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/shipments": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Posts a shipment: one delivery into one car, with one to eight parcels. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["NewShipment"];
                };
            };
            responses: {
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/shipments/{shipment}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A shipment and its deliveries. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    shipment: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ShipmentSeen"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/staff": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Everybody who may use these pages. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["StaffList"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/staff/challenges": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A challenge for logging in, good for five minutes. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["Nothing"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ChallengeOut"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/staff/invitations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Invites somebody: the answer holds an address that is good for one passkey. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["InvitationIn"];
                };
            };
            responses: {
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["InvitationOut"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/staff/me": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who is logged in. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["StaffOut"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/staff/registrations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Takes up an invitation with a new passkey. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["RegistrationIn"];
                };
            };
            responses: {
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["StaffOut"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/staff/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Logs in with a passkey. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["StaffLogin"];
                };
            };
            responses: {
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["StaffOut"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/staff/{staff}/remove": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Somebody leaves: their passkey and sessions are worth nothing from now on. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    staff: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["Nothing"];
                };
            };
            responses: {
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        AccessSeen: {
            state: string;
            reason?: string | null;
        };
        AcknowledgeIn: {
            /** Format: int64 */
            seq: number;
        };
        AcknowledgedOut: {
            by: string;
            at: string;
        };
        /** @description Where a car may stand: whole cells of about five square kilometres. */
        AreaOut: {
            cells: string[];
            /**
             * Format: double
             * @description The middle of the cells, to two digits: about a kilometre.
             */
            latitude: number;
            /** Format: double */
            longitude: number;
        };
        /** @description An `AuthenticatorAssertionResponse`, each part base64url. */
        AssertionParts: {
            credential_id: string;
            authenticator_data: string;
            client_data_json: string;
            signature: string;
        };
        BoardOut: {
            now: string;
            deliveries: components["schemas"]["DeliverySeen"][];
            exceptions: components["schemas"]["ExceptionOut"][];
            couriers: components["schemas"]["CourierLine"][];
            /** @description Empty where the gateway does not answer. */
            makers: components["schemas"]["MakerLine"][];
            gateway_answers: boolean;
            cars_on_hold?: components["schemas"]["HoldOut"] | null;
            /** @description There are more than these. */
            more: boolean;
        };
        CancelIn: {
            /** @description A reason code; `blocked_by_owner` and `not_confirmed` are the usual ones. */
            reason: string;
        };
        CarStop: components["schemas"]["DeliverySeen"] & {
            /** @description Fallbacks that were agreed, best first. */
            fallbacks: string[];
            access?: components["schemas"]["WindowOut"] | null;
            area?: components["schemas"]["AreaOut"] | null;
            /** @description The owner shows the place to whoever has entered the area, not only when this is the next stop. */
            by_area: boolean;
        };
        ChallengeOut: {
            nonce: string;
            /** @description What passkeys belong to. */
            rp_id: string;
            /** @description What the assertion's challenge is made of, besides the nonce. */
            aud: string;
        };
        CodeIn: {
            code: string;
        };
        CourierIn: {
            courier: string;
        };
        CourierIs: {
            courier: string;
        };
        CourierLine: {
            courier: string;
            name: string;
            on_shift: boolean;
            device: boolean;
            parcels_under_way: number;
            /**
             * Format: int64
             * @description Seconds since the page or phone was heard; unknown after a start.
             */
            heard_s_ago?: number | null;
        };
        CourierOut: {
            courier: string;
            /** @description Shown once; a repeated request shows none. */
            token?: string | null;
            /** @description The courier app's address that logs in with it, where there is an app. */
            url?: string | null;
        };
        DeliveriesSeen: {
            deliveries: components["schemas"]["DeliverySeen"][];
            /** @description Where the next page begins, if there is one. */
            next?: string | null;
        };
        /** @description A delivery, as much of it as whoever asks may see. */
        DeliverySeen: {
            delivery: string;
            shipment: string;
            /** @description `requested`, `accepted`, `loaded`, `leg`, `at_stop`, `falling_back`, `ended`. */
            state: string;
            /** @description `delivered`, `partly_delivered`, `fallback`, `returned`. */
            end?: string | null;
            window: components["schemas"]["WindowOut"];
            courier?: string | null;
            parcels: components["schemas"]["ParcelSeen"][];
            /** @description What the gateway said last. */
            access: components["schemas"]["AccessSeen"];
            ready?: components["schemas"]["ReadySeen"] | null;
            /** @description The link for the owner, until there is an answer. */
            consent_url?: string | null;
            recipient?: components["schemas"]["RecipientSeen"] | null;
            /** @description The owner has also allowed later ones in advance: name this when you ship to the same person again. */
            rule?: string | null;
            /** @description Somebody has ordered that nothing of it is erased. */
            held?: boolean | null;
        };
        DeviceIn: {
            /** @description Thumbprint. */
            device: string;
        };
        DoorDoneIn: {
            state: components["schemas"]["DoorState"];
        };
        DoorDoneOut: {
            stop: string;
            state: components["schemas"]["DoorState"];
        };
        DoorIn: {
            name: string;
            address: string;
            note?: string;
            /** Format: int32 */
            parcels: number;
        };
        /** @enum {string} */
        DoorState: "planned" | "done" | "not_done";
        DoorStop: {
            name: string;
            address: string;
            note: string;
            /** Format: int32 */
            parcels: number;
            state: components["schemas"]["DoorState"];
        };
        EntryOut: {
            /** Format: int64 */
            seq: number;
            kind: string;
            at: string;
            /** @description Codes and ids. */
            event: unknown;
        };
        ExceptionOut: {
            /** @description `lid`, `no_next_step`, `window_at_risk`, `not_ready`, `silent_courier`. */
            kind: string;
            delivery?: string | null;
            courier?: string | null;
            /** @description What the gateway said last, for a lid. */
            access?: string | null;
            since?: string | null;
            /**
             * Format: int64
             * @description Send it back when acknowledging.
             */
            seq?: number | null;
            acknowledged?: components["schemas"]["AcknowledgedOut"] | null;
        };
        HoldIn: {
            on: boolean;
        };
        HoldOut: {
            by: string;
            since: string;
        };
        InvitationIn: {
            name: string;
            role: components["schemas"]["StaffRole"];
        };
        InvitationOut: {
            staff: string;
            /** @description Shown once; good for one passkey and a day. */
            url: string;
        };
        JournalOut: {
            entries: components["schemas"]["EntryOut"][];
        };
        LegOut: {
            stop_url: string;
        };
        LegalHoldIn: {
            held: boolean;
        };
        LookIn: {
            reason: components["schemas"]["LookReason"];
        };
        LookOut: {
            /** Format: int64 */
            seq: number;
            at: string;
            by: string;
            delivery: string;
            reason: string;
        };
        /**
         * @description Why somebody looks up whom a parcel is for.
         * @enum {string}
         */
        LookReason: "fallback" | "call_recipient" | "complaint" | "claim";
        LooksOut: {
            looks: components["schemas"]["LookOut"][];
        };
        MakerLine: {
            maker: string;
            /** @description `up` or `down`. */
            state: string;
        };
        MerchantIn: {
            /** @description Printable ASCII. */
            id: string;
            name: string;
        };
        NewCourier: {
            name: string;
        };
        NewParcel: {
            /** @description As printed; 4 to 48 letters and digits count. */
            label: string;
            /** @description Length, width, height in millimetres. */
            size_mm: number[];
            /** Format: int32 */
            weight_g: number;
            /**
             * Format: int64
             * @description In the currency's smallest unit.
             */
            value_minor: number;
            /** @description ISO 4217. */
            currency: string;
            /** @description `signature`, `age_check`, `cash_on_delivery`, `customs`, `live_goods`, `aerosol`, `loose_lithium_cells`, `medicine`. */
            flags?: string[];
            /** @description `put` into the car, or `take` out of it. */
            direction: string;
            /**
             * Format: int32
             * @description How long the goods bear a hot or cold car.
             */
            bears_minutes_in_car?: number | null;
        };
        NewShipment: {
            merchant: components["schemas"]["MerchantIn"];
            recipient: components["schemas"]["Recipient"];
            parcels: components["schemas"]["NewParcel"][];
            window: components["schemas"]["WindowIn"];
            /** @description `address`, `parcel_shop`, `next_window`, `return`; best first, each once. */
            fallbacks: string[];
            /**
             * @description The `rule` of an earlier delivery to the same person: this one is announced under it. If it is not covered, the link
             *     asks as always.
             */
            rule?: string | null;
        };
        /** @description An empty JSON object, for requests that need no members. */
        Nothing: Record<string, never>;
        /** @description What became of a parcel. `reason` belongs to `not_done`. */
        OutcomeIn: {
            outcome: components["schemas"]["OutcomeWord"];
            reason?: string | null;
            fallback?: string | null;
        };
        /** @enum {string} */
        OutcomeWord: "done" | "not_done";
        ParcelIn: {
            parcel: string;
        };
        ParcelSeen: {
            parcel: string;
            direction: string;
            /** @description `planned`, `placed`, `taken`, `falling_back`, `fell_back`. */
            state: string;
            reason?: string | null;
            fallback?: string | null;
            size_mm: number[];
            /** @description The last characters of its label. */
            tail: string;
        };
        /** @description The members of a problem, for the OpenAPI documents. */
        Problem: {
            /**
             * @description Relative address of a page about this code.
             * @example /problems/body_not_json
             */
            type: string;
            title: string;
            /** Format: int32 */
            status: number;
            /** @description Stable; branch on this. */
            code: string;
            /** @description What to do. */
            detail?: string | null;
            /**
             * Format: int64
             * @description Ask again after this many seconds.
             */
            retry_after_s?: number | null;
        };
        ReadySeen: {
            slot: string;
            /** @description `yes`, `no` or `later`; why not, only the owner hears. */
            answer: string;
        };
        Recipient: {
            name: string;
            fallback_address: string;
        };
        RecipientSeen: {
            name: string;
            fallback_address: string;
        };
        /** @description A new passkey with its first answer, which proves that it is there and asks its person. */
        RegistrationIn: {
            invitation: string;
            nonce: string;
            /** @description The passkey's public key, ES256. */
            jwk: string;
            assertion: components["schemas"]["AssertionParts"];
        };
        RouteIn: {
            stops: components["schemas"]["StopIn"][];
        };
        /** @description The route as the courier sees it. */
        RouteOut: {
            courier: string;
            name: string;
            /** @description Since when on shift, rounded to a quarter of an hour. */
            shift_since?: string | null;
            /** @description A depot has enrolled this courier's phone for cars. */
            device: boolean;
            /** @description Operations lets nobody set out to cars now. */
            cars_on_hold: boolean;
            stops: components["schemas"]["StopOut"][];
        };
        ShiftIn: {
            on: boolean;
        };
        ShiftOut: {
            on: boolean;
        };
        ShipmentSeen: {
            shipment: string;
            deliveries: components["schemas"]["DeliverySeen"][];
        };
        StaffList: {
            staff: components["schemas"]["StaffOut"][];
        };
        StaffLogin: {
            nonce: string;
            assertion: components["schemas"]["AssertionParts"];
        };
        StaffOut: {
            staff: string;
            name: string;
            role: components["schemas"]["StaffRole"];
            /** @description Has a passkey. */
            registered: boolean;
        };
        /**
         * @description What somebody may do; each includes those before. None locates or opens: there is nothing here that could.
         * @enum {string}
         */
        StaffRole: "viewer" | "dispatcher" | "lead";
        /** @description A stop in the order of the route: a delivery into a car, or a door. */
        StopIn: {
            /** @description A delivery into a car. */
            delivery?: string | null;
            door?: components["schemas"]["DoorIn"] | null;
        };
        StopOut: {
            stop: string;
            car?: components["schemas"]["CarStop"] | null;
            door?: components["schemas"]["DoorStop"] | null;
        };
        /** @description RFC 3339; two or four hours. */
        WindowIn: {
            start: string;
            end: string;
        };
        WindowOut: {
            start: string;
            end: string;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
